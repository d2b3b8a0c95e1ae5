"""Detectors beside pandas, scipy, statsmodels and River: they compute the same, or find the same."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace
from river import anomaly, stats
from scipy.stats import chi2, norm
from sklearn.metrics import roc_auc_score
from statsmodels.robust.scale import Huber, mad

from udfs.detectors.hotelling import Hotelling
from udfs.detectors.novelty import FEATURES, Novelty
from udfs.kernels import Floats
from udfs.stats.moments import MEAN, MOMENTS_WIDTH, VARIANCE, learn_moments
from udfs.stats.quantiles import (
    BAND_WIDTH,
    HIGH,
    MAD,
    MAD_WIDTH,
    MEDIAN,
    NORMAL_PER_MAD,
    learn_band,
    learn_median,
)

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
def test_median_and_scatter_are_as_near_as_the_robust_ones_of_statsmodels(seed: int) -> None:
    """Of values of which one in twenty is far out: Huber's proposal 2 looks at all of them at once, we at each once."""
    draw, count = np.random.default_rng(seed), 20_000
    values = draw.normal(6.0, 0.5, count)
    values[draw.random(count) < 0.05] += 4.0
    state = np.zeros(MAD_WIDTH)
    for value in values.tolist():
        learn_median(state, value, 1.0, 1.0, 1e-6, 1e-6)
    location, scale = Huber()(values)
    assert abs(state[MEDIAN] - 6.0) <= abs(location - 6.0) + 0.01
    assert abs(NORMAL_PER_MAD * state[MAD] - 0.5) <= abs(scale - 0.5) + 0.01
    assert NORMAL_PER_MAD * state[MAD] == pytest.approx(float(mad(values)), rel=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_hotelling_ranks_odd_combinations_better_than_the_half_space_trees_of_river(seed: int) -> None:
    """Windows are learnt as they come, odd ones among them; each metric of an odd one is usual by itself."""
    draw = np.random.default_rng(seed)
    common = draw.normal(0.0, 1.0, 3_000)
    vectors = np.exp(6.0 + 0.6 * (common[:, None] + 0.2 * draw.normal(size=(3_000, 2))))
    odd = np.zeros(3_000, dtype=np.int64)
    odd[draw.choice(np.arange(1_000, 3_000), 60, replace=False)] = 1
    sides = np.exp(6.0 + 0.6 * np.array([1.6, -1.6]))
    vectors[odd == 1] = sides * draw.lognormal(0.0, 0.1, (60, 2))

    detector = Hotelling(detector_id="joint", on="1m", metrics=("latency_ms_mean", "ttft_ms_mean"), warning=7.0)
    state, parameters, shares = np.zeros(detector.state_width), detector.parameters(), np.zeros(2)
    rival: Any = anomaly.HalfSpaceTrees(
        n_trees=12, height=4, window_size=250, limits={0: (3.0, 9.0), 1: (3.0, 9.0)}, seed=seed
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
    assert ranked[0] >= ranked[1]


def test_hotelling_is_as_rare_as_the_chi_square_law_of_scipy_says() -> None:
    """By levels, scatter and correlations that are known; the approximation is on the careful side."""
    draw, metrics = np.random.default_rng(3), ("latency_ms_mean", "ttft_ms_mean", "prompt_tokens_mean")
    correlations = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 1.0]])
    detector = Hotelling(detector_id="joint", on="1m", metrics=metrics, warning=7.0, shrinkage=0.0, floor=1e-9)
    normal = np.concatenate(
        [[1e3, 10.0, 3.5], np.full(3, 6.0), np.full(3, 0.25), np.full(3, 1e3), correlations.ravel()]
    )
    z = draw.multivariate_normal(np.zeros(3), correlations, 2_000) * draw.choice([1.0, 2.0, 3.0], (2_000, 1))
    shares, parameters = np.zeros(3), detector.parameters()
    told = [detector.kernels.score(normal, each, 10.0, 0, parameters, shares) for each in np.expm1(6.0 + 0.5 * z)]
    squares = np.einsum("ni,ij,nj->n", z, np.linalg.inv(correlations), z)
    expected = norm.isf(chi2.sf(squares, 3))
    beyond = (expected > 1.0) & (expected < 7.0)
    np.testing.assert_allclose(np.array(told)[beyond], expected[beyond], rtol=0.08)
    assert shares.sum() == pytest.approx(1.0)


def test_hotelling_learns_levels_scatter_and_correlations() -> None:
    draw, metrics = np.random.default_rng(4), ("latency_ms_mean", "ttft_ms_mean")
    detector = Hotelling(detector_id="joint", on="1m", metrics=metrics, warning=7.0, smoothing=0.01, half_life=500.0)
    state, parameters = np.zeros(detector.state_width), detector.parameters()
    covariance = np.array([[0.04, 0.018], [0.018, 0.09]])
    for row in np.expm1(draw.multivariate_normal([6.0, 4.0], covariance, 4_000)):
        detector.kernels.learn(state, row, 10.0, 0, parameters, 1.0)
    levels, variances, products = state[3:5], state[5:7], state[9:].reshape(2, 2)
    np.testing.assert_allclose(levels, [6.0, 4.0], atol=0.05)
    np.testing.assert_allclose(variances, covariance.diagonal(), rtol=0.15)
    assert products[0, 1] / np.sqrt(products[0, 0] * products[1, 1]) == pytest.approx(0.3, abs=0.1)
