"""Recent: deviations of all entities are in one unit, from their first windows on."""

import numpy as np

from jobs.training.recent import common_variance, deviations_of
from jobs.training.windows import Windows
from tests.calls import START_AT_MS
from udfs.detectors.autoencoder import Autoencoder
from udfs.kernels import Floats

METRICS = ("latency_ms_mean", "cost_usd_mean")
DETECTOR = Autoencoder(detector_id="one", on="1m", metrics=METRICS, warning=3.0, warm_up_samples=15)


def windows_of(*entities: tuple[Floats, float]) -> Windows:
    """Return windows of entities, each given as values float64[n, 2] and calls a window."""
    vectors = np.concatenate([values for values, _ in entities])
    volumes = np.concatenate([np.full(len(values), calls) for values, calls in entities])
    ends_at_ms = np.concatenate([START_AT_MS + 60_000 * np.arange(len(values)) for values, _ in entities])
    names = tuple(f"entity-{number}" for number, (values, _) in enumerate(entities) for _ in values)
    return Windows(vectors, volumes, ends_at_ms, names)


def ordinary(count: int, calls: float, level: float, seed: int, scatter: float = 0.6) -> Floats:
    """Return means of so many calls, of which each scatters so much on the logarithmic scale."""
    steps = np.random.default_rng(seed).normal(0.0, scatter / np.sqrt(calls), (count, 2))
    return np.array([level, level * 1e-3]) * np.exp(steps)


def test_deviations_are_standard_whatever_level_and_calls_an_entity_has() -> None:
    windows = windows_of((ordinary(2_000, 10, 300.0, 1), 10), (ordinary(2_000, 100, 9e4, 2), 100))
    variance = common_variance(windows, DETECTOR)
    np.testing.assert_allclose(variance, 0.36, rtol=0.25)
    deviations = deviations_of(windows, DETECTOR, variance)
    assert deviations.shape == (4_000 - 2 * 15, 2)
    for part in (deviations[:1_985], deviations[1_985:]):
        np.testing.assert_allclose(part.std(axis=0), 1.0, atol=0.15)
        np.testing.assert_allclose(part.mean(axis=0), 0.0, atol=0.1)


def test_entity_that_scatters_more_than_others_is_measured_by_itself_in_time() -> None:
    wild = ordinary(600, 100, 300.0, 3, scatter=2.4)
    calm = [(ordinary(600, 100, 300.0, seed), 100.0) for seed in (4, 5, 6)]
    windows = windows_of((wild, 100.0), *calm)
    deviations = deviations_of(windows, DETECTOR, common_variance(windows, DETECTOR))
    first, last = deviations[:15].std(), deviations[285:585].std()
    assert first > 1.5
    assert 0.8 < last < 1.3


def test_metric_that_comes_later_is_no_deviation_and_gaps_and_single_windows_are_none() -> None:
    values = ordinary(100, 50, 300.0, 7)
    values[:40, 1] = np.nan
    values[70, 0] = np.nan
    windows = windows_of((values, 50.0), (values[:1], 50.0))
    deviations = deviations_of(windows, DETECTOR, common_variance(windows, DETECTOR))
    assert len(deviations) == 85
    assert (deviations[:26, 1] == 0.0).all()
    assert deviations[70 - 15, 0] == 0.0
    assert np.abs(deviations).max() < 5.0
