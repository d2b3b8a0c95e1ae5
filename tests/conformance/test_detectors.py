"""Laws that every built-in detector and every one of the default configuration obeys."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from schemas.anomaly import EntityType
from schemas.model import ModelScope, PackedArray, PublishedModel, Training
from schemas.time import from_at_ms
from udfs.aggregates import OBSERVED
from udfs.decision import HEADER_WIDTH
from udfs.detector import Detector, resolutions
from udfs.detectors import BUILT_IN
from udfs.detectors.defaults import default_detectors
from udfs.detectors.isolation_forest import IsolationForest
from udfs.detectors.moving_average import MovingAverage
from udfs.detectors.novelty import Novelty
from udfs.driver import STEP_MS, Driver
from udfs.flags import Flags
from udfs.kernels import Floats, Integers

START_AT_MS = 1_790_000_000_000
DEFAULTS = (
    *default_detectors(),
    # In the job it is off by default: its state is several times that of the others.
    Novelty(detector_id="novelty-1m", on="1m", metrics=("latency_ms_mean", "cost_usd_mean")),
)


def identifier(detector: Detector) -> str:
    """Return what a test of this detector is called by."""
    return detector.detector_id


EVERY = pytest.mark.parametrize("detector", DEFAULTS, ids=identifier)
USUAL = {
    "latency_ms": 800.0,
    "ttft_ms": 300.0,
    "prompt_tokens": 400.0,
    "completion_tokens": 200.0,
    "cost_usd": 0.01,
    "error": 0.0,
    "error_rate": 0.0,
    # For a user, what one call adds.
    "calls_per_s": 1.0,
    "tokens_per_s": 600.0,
    "cost_usd_per_s": 0.003,
}
JUMP = {"error": 1.0, "error_rate": 1.0}
"""What a metric is in the worst case, where that is not a thousand times the usual."""


class Series:
    """Observations of one detector's kind: times, values of all observed metrics, volumes."""

    def __init__(self, detector: Detector, count: int, *, seed: int = 1, scatter: float = 0.2) -> None:
        self.names = OBSERVED[detector.on, detector.entity]
        draw = np.random.default_rng(seed)
        self.count = count
        gap_ms = _gap_ms(detector)
        self.at_ms: Integers = START_AT_MS + gap_ms * np.arange(1, count + 1, dtype=np.int64)
        usual = np.array([_usual(name) for name in self.names])
        self.values: Floats = (
            usual * draw.lognormal(0.0, scatter, (count, len(self.names))) if scatter else np.tile(usual, (count, 1))
        )
        self.volumes: Floats = np.full(count, 1.0 if detector.on == "event" else 30.0)
        self.rows: Integers = np.zeros(count, dtype=np.int64)


def _gap_ms(detector: Detector) -> int:
    if detector.on != "event":
        return STEP_MS[detector.on]
    return 20_000 if detector.entity == "user" else 2_000


def _usual(name: str) -> float:
    known = [metric for metric in USUAL if name == metric or name.startswith(f"{metric}_")]
    return USUAL[max(known, key=len)]


def driver_of(detector: Detector) -> Driver:
    """Return a driver, with a model if the detector cannot do without."""
    driver = Driver(detector, OBSERVED[detector.on, detector.entity])
    if detector.needs_model:
        driver.publish(model_for(detector))
    return driver


def state_of(driver: Driver) -> Floats:
    """Return the state of two series of which nothing is known."""
    return np.zeros((2, driver.width))


def run(driver: Driver, states: Floats, series: Series, start: int = 0, end: int | None = None) -> Flags:
    """Run a part of the observations."""
    part = slice(start, series.count if end is None else end)
    return driver.run(states, 0, series.rows[part], series.at_ms[part], series.values[part], series.volumes[part])


def warm(detector: Detector, *, scatter: float = 0.2) -> Series:
    """Return observations that end a warm-up with room to spare, constant ones if there is no scatter."""
    gap_ms = _gap_ms(detector)
    return Series(detector, max(2 * detector.warm_up_samples, 2 * detector.warm_up_ms // gap_ms, 240), scatter=scatter)


def test_every_type_is_in_the_default_configuration() -> None:
    """What follows covers them all; one that no default uses has an example above."""
    assert {type(each) for each in DEFAULTS} == set(BUILT_IN)


@EVERY
def test_silent_while_warming_up(detector: Detector) -> None:
    """However wild the values, nothing is told before the samples and the time have come."""
    driver = driver_of(detector)
    wild = Series(detector, max(detector.warm_up_samples - 1, 1), scatter=3.0)
    assert len(run(driver, state_of(driver), wild)) == 0
    # Many samples in no time are no warm-up either.
    burst = Series(detector, detector.warm_up_samples + 10, scatter=3.0)
    burst.at_ms = np.full(burst.count, START_AT_MS, dtype=np.int64)
    assert len(run(driver, state_of(driver), burst)) == 0


@EVERY
@pytest.mark.parametrize("seed", range(3))
def test_cutting_a_batch_changes_nothing(detector: Detector, seed: int) -> None:
    """Bit for bit: flags and state, with missing values, wild values and two series."""
    series = warm(detector)
    draw = np.random.default_rng(seed)
    series.rows = draw.integers(0, 2, series.count)
    series.values[draw.random(series.values.shape) < 0.05] = np.nan
    series.values[draw.random(series.values.shape) < 0.02] *= 1_000
    if detector.on != "event":
        series.volumes = draw.integers(1, 60, series.count).astype(np.float64)
    driver = driver_of(detector)
    once, parts = state_of(driver), state_of(driver)
    whole = run(driver, once, series).table
    cuts = sorted({0, *draw.integers(1, series.count, 5).tolist(), series.count})
    tables = []
    for start, end in pairwise(cuts):
        table = run(driver, parts, series, start, end).table
        table[:, 0] += start
        tables.append(table)
    assert np.array_equal(np.concatenate(tables), whole, equal_nan=True)
    assert np.array_equal(once, parts, equal_nan=True)


@EVERY
def test_state_is_as_wide_as_it_says_and_others_are_left_alone(detector: Detector) -> None:
    series = warm(detector)
    driver = driver_of(detector)
    blocks = 1 if detector.form != "series" else len(detector.metrics)
    assert driver.width == blocks * (HEADER_WIDTH + detector.state_width)
    states = np.full((2, driver.width + 6), 42.0)
    states[:, 3:-3] = 0.0
    driver.run(states, 3, series.rows, series.at_ms, series.values, series.volumes)
    assert (states[:, :3] == 42.0).all()
    assert (states[:, -3:] == 42.0).all()
    assert (states[1, 3:-3] == 0.0).all()


@EVERY
def test_no_value_crashes_or_poisons(detector: Detector) -> None:
    """State and scores stay finite, whatever comes, before the warm-up and behind it."""
    driver = driver_of(detector)
    for absurd in (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e18, 0.0, -5.0, 5e-324):
        series = warm(detector)
        series.values[[0, 1, series.count // 2, series.count - 2]] = absurd
        states = state_of(driver)
        flags = run(driver, states, series)
        assert np.isfinite(states).all(), absurd
        assert np.isfinite(flags.raw_score).all(), absurd
        assert (flags.raw_score >= 0).all(), absurd
        assert ((flags.score >= 0) & (flags.score <= 1)).all(), absurd


@pytest.mark.parametrize("detector", [each for each in DEFAULTS if each.form != "silence"], ids=identifier)
def test_what_is_missing_is_not_learnt(detector: Detector) -> None:
    series = warm(detector)
    driver = driver_of(detector)
    states = state_of(driver)
    run(driver, states, series)
    before = states.copy()
    nothing = Series(detector, 20)
    nothing.values[:] = np.nan
    nothing.at_ms += series.at_ms[-1] - START_AT_MS
    run(driver, states, nothing)
    assert np.array_equal(states, before)


def _jump(detector: Detector, count: int, after_ms: int) -> Series:
    """Return observations far above the usual."""
    series = Series(detector, count, scatter=0.0)
    series.values *= 1_000.0
    for name, worst in JUMP.items():
        if name in series.names:
            series.values[:, series.names.index(name)] = worst
    series.at_ms += after_ms - START_AT_MS
    return series


@pytest.mark.parametrize("detector", [each for each in DEFAULTS if type(each) is not MovingAverage], ids=identifier)
def test_a_jump_from_a_constant_baseline_is_found(detector: Detector) -> None:
    """A baseline without any scatter has a floor as deviation, not a division by zero.

    (All but the moving average: it cuts deviations off at four of what it knows, and here it knows the floor alone.)
    """
    calm = warm(detector, scatter=0.0)
    driver = driver_of(detector)
    states = state_of(driver)
    assert len(run(driver, states, calm)) == 0
    if detector.form == "silence":
        flags = driver.silences(states, 0, 1, int(calm.at_ms[-1]) + 6 * 3_600_000)
    else:
        jump = _jump(detector, 60, int(calm.at_ms[-1]))
        flags = run(driver, states, jump)
    assert len(flags) >= 1
    assert set(np.unique(flags.severity)) <= {1, 2}


@pytest.mark.parametrize("detector", [each for each in DEFAULTS if each.form == "series"], ids=identifier)
def test_an_anomaly_leaves_the_baseline_alone(detector: Detector) -> None:
    """With weight 0, ordinary values are afterwards expected where they were expected before."""
    assert detector.kernels.expect is not None
    calm = warm(detector)
    driver = driver_of(detector)
    states = state_of(driver)
    run(driver, states, calm)
    state = states[0, HEADER_WIDTH : HEADER_WIDTH + detector.state_width].copy()
    parameters: Any = detector.parameters()
    volume, at_ms = 30.0, int(calm.at_ms[-1])
    before = detector.kernels.expect(state, volume, at_ms, parameters, 3.0)[0]
    for k in range(1, 6):
        detector.kernels.learn(state, 1e6, volume, at_ms + k, parameters, 0.0)
    assert detector.kernels.expect(state, volume, at_ms, parameters, 3.0)[0] == before


@pytest.mark.parametrize("detector", [each for each in DEFAULTS if each.needs_model], ids=identifier)
def test_silent_and_stateless_without_a_model(detector: Detector) -> None:
    series = warm(detector)
    driver = Driver(detector, series.names)
    states = state_of(driver)
    assert len(run(driver, states, series)) == 0
    assert not states.any()


@EVERY
def test_a_model_that_does_not_fit_is_refused_and_changes_nothing(detector: Detector) -> None:
    series = warm(detector)
    driver = driver_of(detector)
    fitting = model_for(detector)
    for wrong in (replace(fitting, metrics=("error_rate",)), replace(fitting, arrays={})):
        with pytest.raises(ValueError, match="model"):
            driver.publish(wrong)
    unaware = driver_of(detector)
    assert np.array_equal(
        run(driver, state_of(driver), series).table, run(unaware, state_of(unaware), series).table, equal_nan=True
    )


def model_for(detector: Detector) -> PublishedModel:
    """Return the smallest model that fits: a network that always answers the mean, or a tree with one cut."""
    unit = resolutions(detector.metrics)
    usual = np.log1p(np.array([_usual(name) for name in detector.metrics]) / unit)
    size = len(detector.metrics)
    arrays = {
        "mean": usual,
        "scale": np.full(size, 0.5),
        "weight_0": np.zeros((size, size)),
        "bias_0": np.zeros(size),
    }
    if isinstance(detector, IsolationForest):
        arrays = {
            "feature": np.array([[0.0, -1.0, -1.0]]),
            "threshold": np.array([[usual[0] + 3.0, 0.0, 0.0]]),
            "left": np.array([[1.0, 0.0, 0.0]]),
            "right": np.array([[2.0, 0.0, 0.0]]),
            "path": np.array([[0.0, 2.0, 0.1]]),
            "missing": usual,
            "normal_path": np.array([1.0]),
        }
    return PublishedModel(
        model_id="smallest",
        detector_id=detector.detector_id,
        kind="isolation_forest" if isinstance(detector, IsolationForest) else "autoencoder",
        version="1",
        trained_at=from_at_ms(START_AT_MS),
        effective_at_ms=START_AT_MS,
        scope=ModelScope(entity=EntityType.MODEL),
        metrics=detector.metrics,
        arrays={name: _packed(array) for name, array in arrays.items()},
        training=Training(
            samples=1_000,
            from_at_ms=START_AT_MS,
            to_at_ms=START_AT_MS,
            score_quantiles=((0.5, 0.25), (0.99, 0.3), (0.999, 0.35)),
        ),
    )


def _packed(array: Floats) -> PackedArray:
    return PackedArray(shape=array.shape, dtype="float64", values=array.tobytes())
