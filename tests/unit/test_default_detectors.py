"""What the default configuration promises of typical traffic: changes that last are found, single extremes are not."""

import numpy as np
import pytest

from schemas.anomaly import EntityType
from schemas.codec import encode
from tests.calls import START_AT_MS, call
from udfs.detector import Detector
from udfs.detectors.defaults import default_detectors
from udfs.driver import Driver
from udfs.flags import Flags
from udfs.intake import take
from udfs.kernels import Floats, Integers
from udfs.record_block import block_of

WINDOW_MS = 10_000
CRITICAL_RANK = 2


def detector(identifier: str) -> Detector:
    [found] = [each for each in default_detectors() if each.detector_id == identifier]
    return found


def run(driver: Driver, states: Floats, at_ms: Integers, metric: Floats, volume: float) -> Flags:
    rows = np.zeros(len(at_ms), dtype=np.int64)
    return driver.run(states, 0, rows, at_ms, metric.reshape(-1, 1), np.full(len(at_ms), volume))


def only(driver_of: Detector, metric: str) -> tuple[Driver, Floats]:
    """Return a driver of one metric of a detector, and the state of one series."""
    fields = {name: getattr(driver_of, name) for name in driver_of.__struct_fields__}
    driver = Driver(type(driver_of)(**{**fields, "metrics": (metric,)}), [metric])
    return driver, np.zeros((1, driver.width))


def test_series_that_falls_silent_is_told_of_although_it_once_did_not_exist() -> None:
    driver, states = only(detector("no-data"), "calls_per_s")
    at_ms = START_AT_MS + WINDOW_MS * np.arange(1, 361)
    run(driver, states, at_ms, np.ones(360), volume=10.0)
    # One call a second: 40 are missing after 40 s, but less than a minute is never told of.
    last_ms = int(at_ms[-1])
    assert len(driver.silences(states, 0, 1, last_ms + 50_000)) == 0
    told = driver.silences(states, 0, 1, last_ms + 60_000)
    assert told.at_ms.tolist() == [last_ms + 60_000]
    assert driver.silences(states, 0, 1, last_ms + 310_000).severity.tolist() == [CRITICAL_RANK]


@pytest.mark.parametrize("seed", range(5))
def test_doubled_latency_is_found_by_the_moving_average_within_five_minutes(seed: int) -> None:
    # Means of ten calls of a log-normal law of sigma 0.45: a scatter of about 0.14 on the logarithmic scale, in which
    # a factor of 2 is 0.69, five deviations: too little for one window to tell.
    draw = np.random.default_rng([seed, 1])
    driver, states = only(detector("moving-average-10s"), "latency_ms_mean")
    windows, change = 400, 360
    latency_ms = draw.lognormal(8.0, 0.45, (windows, 10)).mean(axis=1)
    latency_ms[change:] *= 2.0
    at_ms = START_AT_MS + WINDOW_MS * np.arange(windows)
    told = run(driver, states, at_ms, latency_ms, volume=10.0).at_ms
    assert len(told)
    assert 0 <= told[0] - at_ms[change] <= 300_000


def test_one_huge_call_makes_no_runaway_and_a_script_does() -> None:
    driver, states = only(detector("runaway-tokens"), "tokens_per_s")
    assert driver.detector.entity == EntityType.USER.value
    calls = 120
    at_ms = START_AT_MS + 60_000 * np.arange(calls)
    tokens = np.full(calls, 2_000.0)
    tokens[100] = 120_000.0
    assert len(run(driver, states, at_ms, tokens, volume=1.0)) == 0
    script_ms = at_ms[-1] + 1_000 * np.arange(1, 121)
    told = run(driver, states, script_ms, np.full(120, 20_000.0), volume=1.0)
    assert CRITICAL_RANK in told.severity


def test_call_that_failed_has_no_latency() -> None:
    records = [encode(call(number, START_AT_MS + number, 0, 60_000.0, is_error=number == 1)) for number in range(2)]
    calls = take(block_of(records, [0, 1]), topic="t", partition=0, newest_at_ms=0, bound_ms=500).calls
    assert calls.error.tolist() == [0.0, 1.0]
    assert calls.values[0, :2].tolist() == [60_000.0, 18_000.0]
    assert np.isnan(calls.values[1, :2]).all()
    assert calls.values[1, 2:].tolist() == [101.0, 21.0, 0.01]
