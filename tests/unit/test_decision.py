"""Decision: when a deviation is told, how severe it is, and when a changed level is the new normal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.decision import WEEK_MS
from udfs.detector import Detector
from udfs.detectors.zscore import ZScore
from udfs.driver import Driver
from udfs.flags import Flags
from udfs.kernels import Floats

SECOND_MS = 1_000
START_AT_MS = 1_700_000_000_000
NAMES = ("latency_ms",)


def detector(**settings_: object) -> Detector:
    """Return a z-score whose baseline is quick and certain: the decisions are what is tested."""
    plain = {
        "detector_id": "z",
        "on": "event",
        "metrics": NAMES,
        "warning": 5.0,
        "critical": 20.0,
        "scale": "linear",
        "floor": 0.01,
        "warm_up_samples": 10,
        "warm_up_ms": 0,
        "refractory_ms": 60_000,
        "relearn_samples": 30,
        "relearn_ms": 30_000,
    }
    return ZScore(**(plain | settings_))  # type: ignore[arg-type]


def run(of: Detector, values: list[float], step_ms: int = SECOND_MS) -> Flags:
    """Return the flags of values that are one step apart."""
    driver = Driver(of, NAMES)
    states: Floats = np.zeros((1, driver.width))
    at_ms = START_AT_MS + step_ms * np.arange(len(values))
    rows = np.zeros(len(values), dtype=np.int64)
    return driver.run(states, 0, rows, at_ms, np.array(values).reshape(-1, 1), np.ones(len(values)))


def told(flags: Flags) -> list[tuple[int, int]]:
    """Return position and rank of every flag."""
    return list(zip(flags.i.tolist(), flags.severity.tolist(), strict=True))


ORDINARY = [100.0, 101.0, 99.0, 100.5, 99.5] * 4


def test_nothing_is_told_before_enough_samples() -> None:
    assert told(run(detector(warm_up_samples=10), [*ORDINARY[:9], 1e6])) == []
    assert told(run(detector(warm_up_samples=10), [*ORDINARY[:10], 1e6])) == [(10, 2)]


@pytest.mark.parametrize(("spread", "per_week", "least"), [(0.3, 10.0, 0.5), (0.3, 40.0, 0.5), (0.02, 40.0, 0.1)])
def test_false_alarms_come_as_often_as_they_are_accepted(spread: float, per_week: float, least: float) -> None:
    """Twelve hours of windows of 10 s; the smaller spread is far below the floor, where by the law nothing is told."""
    series, windows, step_ms = 200, 4_320, 10_000
    of = detector(scale="log", floor=0.1, false_alarms_per_week=per_week, warning=1e-3, critical=None, half_life=360)
    driver = Driver(of, NAMES)
    values = np.exp(np.random.default_rng(7).normal(7.0, spread, windows * series)).reshape(-1, 1)
    rows = np.tile(np.arange(series), windows)
    at_ms = np.repeat(START_AT_MS + step_ms * np.arange(windows), series)
    flags = driver.run(np.zeros((series, driver.width)), 0, rows, at_ms, values, np.ones(len(rows)))
    accepted = per_week * series * windows * step_ms / WEEK_MS
    assert least * accepted < len(flags.i) < 2 * accepted


def test_nothing_is_told_before_enough_time() -> None:
    assert told(run(detector(warm_up_ms=30_000), [*ORDINARY, 1e6])) == []
    assert told(run(detector(warm_up_ms=20_000), [*ORDINARY, 1e6])) == [(20, 2)]


def test_side_that_is_not_asked_for_is_not_told() -> None:
    assert told(run(detector(direction="high"), [*ORDINARY, 1.0])) == []
    assert told(run(detector(direction="low"), [*ORDINARY, 1.0])) == [(20, 2)]
    assert told(run(detector(direction="both"), [*ORDINARY, 1.0])) == [(20, 2)]


def test_what_lasts_is_told_once_in_the_refractory_time_and_again_when_it_gets_worse() -> None:
    # A deviation is about 1.2 (scatter and floor of 100): 110 is 8 of them, 1,000 far beyond 20.
    assert told(run(detector(), [*ORDINARY, *[110.0] * 3, *[1_000.0] * 3])) == [(20, 1), (23, 2)]


def test_anomaly_that_lasts_is_told_again_after_the_refractory_time() -> None:
    flags = run(detector(relearn_samples=1_000), [*ORDINARY, *[1_000.0] * 125])
    assert told(flags) == [(20, 2), (80, 2), (140, 2)]


def test_anomaly_that_lasts_long_is_told_seldom() -> None:
    """After ten refractory times, once in four of them."""
    flags = run(detector(relearn_samples=1_000), [*ORDINARY, *[1_000.0] * 60], step_ms=30_000)
    assert flags.i.tolist() == [*range(20, 41, 2), 48, 56, 64, 72]


def test_consecutive_anomalies_are_needed_and_an_ordinary_value_takes_one_back() -> None:
    of = detector(consecutive=3, consecutive_critical=4)
    assert told(run(of, [*ORDINARY, 1e4, 1e4, 100.0, 1e4])) == []
    assert told(run(of, [*ORDINARY, 1e4, 1e4, 100.0, 1e4, 1e4, 1e4])) == [(24, 1), (25, 2)]


def test_anomalies_do_not_move_the_baseline() -> None:
    flags = run(detector(relearn_samples=1_000, refractory_ms=0), [*ORDINARY, *[1_000.0] * 50])
    assert len(set(flags.expected.tolist())) == 1


def test_level_that_lasts_becomes_the_new_normal() -> None:
    flags = run(detector(refractory_ms=0), [*ORDINARY, *[1_000.0, 1_001.0] * 60])
    assert max(flags.i.tolist()) < 20 + 60
    assert run(detector(refractory_ms=0), [*ORDINARY, *[1_000.0, 1_001.0] * 60, 100.0]).i.tolist()[-1] == 140


def test_window_of_too_few_calls_is_neither_scored_nor_learnt() -> None:
    driver = Driver(detector(volume_min=20), NAMES)
    states = np.zeros((1, driver.width))
    flags = driver.run(states, 0, np.zeros(20, np.int64), np.arange(20), np.ones((20, 1)), np.full(20, 19.0))
    assert len(flags) == 0
    assert not states.any()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")), st.just(float("inf"))), max_size=60),
    st.integers(0, 60),
)
def test_batch_in_two_parts_gives_the_same_flags_and_state(values: list[float], cut: int) -> None:
    driver = Driver(detector(refractory_ms=5_000), NAMES)
    column = np.array([*ORDINARY, *values]).reshape(-1, 1)
    rows, volumes = np.zeros(len(column), dtype=np.int64), np.ones(len(column))
    at_ms = START_AT_MS + SECOND_MS * np.arange(len(column))
    whole, parts = np.zeros((1, driver.width)), np.zeros((1, driver.width))
    expected = driver.run(whole, 0, rows, at_ms, column, volumes).table
    first = driver.run(parts, 0, rows[:cut], at_ms[:cut], column[:cut], volumes[:cut]).table
    second = driver.run(parts, 0, rows[cut:], at_ms[cut:], column[cut:], volumes[cut:]).table
    second[:, 0] += cut
    np.testing.assert_array_equal(np.concatenate([first, second]), expected)
    np.testing.assert_array_equal(parts, whole)
    assert np.isfinite(whole).all()
