"""Detectors beside independent implementations: pandas, scipy and River compute the same, or find the same."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace
from river import anomaly, stats
from sklearn.metrics import roc_auc_score

from udfs.detectors.half_space_forest import HalfSpaceForest
from udfs.detectors.novelty import FEATURES, Novelty
from udfs.kernels import Floats
from udfs.stats.moments import MEAN, MOMENTS_WIDTH, VARIANCE, learn_moments
from udfs.stats.quantiles import BAND_WIDTH, HIGH, learn_band

START_AT_MS = 1_790_000_000_000
NEVER = 1e9
NORMAL_99 = 2.3263


def averages(values: Floats, smoothing: float) -> Floats:
    """Return the exponentially weighted mean whose first values weigh alike: the plain mean, then pandas' recursion."""
    first = math.ceil(1.0 / smoothing)
    plain = pd.Series(values[:first]).expanding().mean()
    rest = pd.Series([plain.iloc[-1], *values[first:]]).ewm(alpha=smoothing, adjust=False).mean()
    return np.concatenate([plain, rest.iloc[1:]])


@pytest.mark.parametrize("seed", range(3))
def test_novelty_is_the_sum_of_records_that_pandas_finds(seed: int) -> None:
    """Of the features that need no time of day; `least` and `greatest` are rolling ones of six."""
    values = np.random.default_rng(seed).standard_t(3, 900).cumsum()
    usual = Novelty(detector_id="novelty", on="event", metrics=("value",))
    known = [FEATURES.index(name) for name in FEATURES if "residual" not in name]
    margins = tuple(margin if k in known else NEVER for k, margin in enumerate(usual.margins))
    detector = replace(usual, margins=margins, refractory_samples=1e-9)
    state, parameters, told = np.zeros(detector.state_width), detector.parameters(), []
    for k, value in enumerate(values.tolist()):
        told.append(abs(detector.kernels.score(state, value, 1.0, START_AT_MS + 60_000 * k, parameters)))
        detector.kernels.learn(state, value, 1.0, START_AT_MS + 60_000 * k, parameters, 1.0)

    rolling = pd.Series(values).rolling(6, min_periods=1)
    table = pd.DataFrame(
        {
            "value": values,
            "short average": averages(values, 1.0 / 12.0),
            "long average": averages(values, 1.0 / 48.0),
            "least of the last": rolling.min(),
            "greatest of the last": rolling.max(),
        }
    )
    high, low = table.cummax().shift(), table.cummin().shift()
    beyond = ((table - high).clip(lower=0.0) + (low - table).clip(lower=0.0)) / (high - low)
    parts = beyond / pd.Series({FEATURES[k]: margins[k] for k in known})
    young = 1.0 + np.log(np.maximum(detector.young_samples / np.arange(1, len(values) + 1), 1.0))
    expected = (parts.clip(upper=detector.largest_part).sum(axis=1) / young).to_numpy()
    np.testing.assert_allclose(told[detector.warm_up_samples :], expected[detector.warm_up_samples :], atol=1e-6)
    assert max(told) >= 1.0


def test_moments_are_those_of_river_while_the_memory_lasts() -> None:
    state = np.zeros(MOMENTS_WIDTH)
    mean: Any = stats.Mean()  # type: ignore[no-untyped-call]
    variance: Any = stats.Var(ddof=0)
    for value in np.random.default_rng(3).normal(5.0, 1.0, 400).clip(3.0, 7.0).tolist():
        learn_moments(state, value, 1.0, 1e-9, 1e-6)
        mean.update(value)
        variance.update(value)
    assert state[MEAN] == pytest.approx(mean.get())
    assert state[VARIANCE] == pytest.approx(variance.get(), rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_outer_quantile_is_as_near_as_that_of_river(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(0.0, 1.0, 20_000)
    state = np.zeros(BAND_WIDTH)
    rivals: Any = stats.Quantile(0.99)
    for value in np.log(values).tolist():
        learn_band(state, value, 0.99, NORMAL_99, 1e-6, 1e-6)
        rivals.update(value)
    true = float(np.quantile(np.log(values), 0.99))
    assert abs(state[HIGH] - true) <= abs(rivals.get() - true) + 0.05


@pytest.mark.parametrize("seed", range(3))
def test_half_space_forest_ranks_odd_combinations_as_well_as_that_of_river(seed: int) -> None:
    """Windows are learnt as they come, odd ones among them; each metric of an odd one is usual by itself."""
    draw = np.random.default_rng(seed)
    common = draw.normal(0.0, 1.0, 3_000)
    vectors = np.exp(6.0 + 0.6 * (common[:, None] + 0.2 * draw.normal(size=(3_000, 2))))
    odd = np.zeros(3_000, dtype=np.int64)
    odd[draw.choice(np.arange(1_000, 3_000), 60, replace=False)] = 1
    sides = np.exp(6.0 + 0.6 * np.array([1.6, -1.6]))
    vectors[odd == 1] = sides * draw.lognormal(0.0, 0.1, (60, 2))

    detector = HalfSpaceForest(detector_id="forest", on="1m", metrics=("latency_ms_mean", "ttft_ms_mean"), warning=7.0)
    state, parameters, shares = np.zeros(detector.state_width), detector.parameters(), np.zeros(2)
    rival: Any = anomaly.HalfSpaceTrees(
        n_trees=detector.trees,
        height=detector.height,
        window_size=250,
        limits={0: (3.0, 9.0), 1: (3.0, 9.0)},
        seed=seed,
    )
    own, others = [], []
    for k, vector in enumerate(vectors):
        own.append(detector.kernels.score(state, vector, 30.0, START_AT_MS + 60_000 * k, parameters, shares))
        detector.kernels.learn(state, vector, 30.0, START_AT_MS + 60_000 * k, parameters, 1.0)
        named = dict(enumerate(np.log(vector).tolist()))
        others.append(rival.score_one(named))
        rival.learn_one(named)
    settled = slice(1_000, None)
    ranked = [float(roc_auc_score(odd[settled], scores[settled])) for scores in (own, others)]
    assert ranked[0] > 0.9
    assert ranked[0] >= ranked[1] - 0.02
