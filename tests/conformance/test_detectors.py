"""Laws that every built-in detector and every one of the default configuration obeys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.anomaly import EntityType
from schemas.model import ModelScope, PackedArray, PublishedModel, Training
from schemas.time import from_at_ms
from udfs.aggregates import OBSERVED
from udfs.conformance.laws import LAWS, Law, survives
from udfs.conformance.observations import START_AT_MS, usual_of
from udfs.detector import Detector
from udfs.detectors import BUILT_IN
from udfs.detectors.defaults import default_detectors
from udfs.detectors.hotelling import Hotelling
from udfs.detectors.isolation_forest import IsolationForest
from udfs.detectors.moving_average import MovingAverage
from udfs.detectors.novelty import Novelty
from udfs.driver import Driver
from udfs.kernels import Floats

DEFAULTS = (
    *default_detectors(),
    # In the job it is off by default: its state is several times that of the others.
    Novelty(detector_id="novelty-1m", on="1m", metrics=("latency_ms_mean", "cost_usd_mean")),
)
SEEDS = st.integers(0, 2**32 - 1)
NUMBERS = st.lists(st.floats(), min_size=1, max_size=4)


def identifier(detector: Detector) -> str:
    """Return what a test of this detector is called by."""
    return detector.detector_id


EVERY = pytest.mark.parametrize("detector", DEFAULTS, ids=identifier)


def driver_of(detector: Detector) -> Driver:
    """Return a driver, with a model if the detector cannot do without."""
    driver = Driver(detector, OBSERVED[detector.on, detector.entity])
    if detector.needs_model:
        driver.publish(model_for(detector))
    return driver


def concerns(law: Law, detector: Detector) -> bool:
    """Return whether a law is asked of a detector.

    A moving average cuts deviations off at four of what it knows; of a constant baseline it knows the floor alone.
    """
    return detector.form in law.forms and not (type(detector) is MovingAverage and "constant baseline" in law.promise)


def test_every_type_is_in_the_default_configuration() -> None:
    """What follows covers them all; one that no default uses has an example above."""
    assert {type(each) for each in DEFAULTS} == set(BUILT_IN)


@pytest.mark.parametrize(
    ("law", "detector"),
    [
        pytest.param(law, detector, id=f"{detector.detector_id}-{law.promise.replace(' ', '-')}")
        for detector in DEFAULTS
        for law in LAWS
        if concerns(law, detector)
    ],
)
def test_law_is_kept(law: Law, detector: Detector) -> None:
    driver = driver_of(detector)

    @settings(max_examples=3)
    @given(SEEDS)
    def holds(seed: int) -> None:
        law.check(driver, seed)

    holds()


@EVERY
def test_no_numbers_crash_or_poison(detector: Detector) -> None:
    driver = driver_of(detector)

    @settings(max_examples=20)
    @given(NUMBERS, SEEDS)
    def holds(numbers: list[float], seed: int) -> None:
        survives(driver, numbers, seed)

    holds()


def test_metric_that_an_entity_has_later_is_no_anomaly_by_itself() -> None:
    """An application that begins to stream has a time to first token from then on; what becomes of that is told."""
    [detector] = [each for each in DEFAULTS if isinstance(each, Hotelling)]
    driver, names, count = driver_of(detector), OBSERVED[detector.on, detector.entity], 300
    values = np.full((count, len(names)), np.nan)
    draw = np.random.default_rng(1)
    for metric in detector.metrics:
        values[:, names.index(metric)] = usual_of(metric) * draw.lognormal(0.0, 0.1, count)
    values[: count // 2, names.index("ttft_ms_mean")] = np.nan
    values[-20:, names.index("ttft_ms_mean")] *= 3.0
    at_ms = START_AT_MS + 60_000 * np.arange(count)
    series = np.zeros(count, dtype=np.int64)
    flags = driver.run(np.zeros((1, driver.width)), 0, series, at_ms, values, np.full(count, 100.0))
    assert flags.i.tolist()
    assert flags.i.min() == count - 20 + 1


def model_for(detector: Detector) -> PublishedModel:
    """Return the smallest model that fits: a network that always answers the level, or a tree with one cut."""
    size = len(detector.metrics)
    arrays = {"weight_0": np.zeros((size, size)), "bias_0": np.zeros(size)}
    if isinstance(detector, IsolationForest):
        arrays = {
            "feature": np.array([[0.0, -1.0, -1.0]]),
            "threshold": np.array([[6.0, 0.0, 0.0]]),
            "left": np.array([[1.0, 0.0, 0.0]]),
            "right": np.array([[2.0, 0.0, 0.0]]),
            "path": np.array([[0.0, 2.0, 0.1]]),
            "normal_path": np.array([1.0]),
        }
    arrays["variance"] = np.full(size, 0.25)
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
