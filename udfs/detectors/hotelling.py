import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import deviation_decades
from udfs.detector import Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.moments import HUBER_REACH
from udfs.stats.scale import LOG, to_scale
from udfs.stats.tail import learn_tail, tail_factor

_NEWEST, _SMOOTHING, _FLOOR, _SHRINKAGE = range(4)
_COUNT, _VOLUME, _TAIL, _LEVELS = range(4)

# In standard deviations: farther out is as far out as one need know, and is learnt as if it were at the nearer one.
_EDGE = 20.0
# Windows after which scatter and correlations say something, and after which tails do. A metric that an entity has had
# for fewer is left out.
_CUT_AFTER = 8.0
_TAIL_AFTER = 30.0
# What the first window at new levels counts for: scatter and correlations are kept.
_ADOPTED_SAMPLES = 10.0


@kernel
def _excess(state: Floats, volume: float) -> float:
    return max(state[_VOLUME] / max(volume, 1.0), 1.0)


@kernel
def _standardise(state: Floats, x: Floats, volume: float, parameters: Floats, z: Floats) -> int:
    """Write the deviations from the levels in standard deviations to z, 0 if not known; return how many there are."""
    metrics, seen = x.shape[0], 0
    excess, floor = _excess(state, volume), parameters[_FLOOR]
    for j in range(metrics):
        z[j] = 0.0
        if not np.isnan(x[j]) and state[_LEVELS + 2 * metrics + j] >= _CUT_AFTER:
            deviation = math.sqrt(state[_LEVELS + metrics + j] * excess + floor * floor)
            z[j] = min(max((to_scale(x[j], LOG) - state[_LEVELS + j]) / deviation, -_EDGE), _EDGE)
            seen += 1
    return seen


@kernel
def _whiten(state: Floats, z: Floats, parameters: Floats, white: Floats, lower: Floats) -> None:
    """Write to `white` the combinations of z that go with no other; `lower` is room for float64[metrics, metrics].

    By the Cholesky decomposition of the correlations, drawn towards none by the shrinkage.
    """
    metrics = z.shape[0]
    products, kept = _LEVELS + 3 * metrics, 1.0 - parameters[_SHRINKAGE]
    for i in range(metrics):
        for j in range(i + 1):
            if i == j:
                total = 1.0
            else:
                scale = state[products + i * metrics + i] * state[products + j * metrics + j]
                total = kept * state[products + i * metrics + j] / math.sqrt(scale) if scale > 0.0 else 0.0
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            lower[i, j] = math.sqrt(max(total, 1e-6)) if i == j else total / lower[j, j]
        white[i] = z[i]
        for k in range(i):
            white[i] -= lower[i, k] * white[k]
        white[i] /= lower[i, i]


@kernel
def _deviation(state: Floats, z: Floats, seen: int, parameters: Floats) -> float:
    """Return the standard normal deviation that is as rare as the sum of squares that go with no other."""
    white, lower = np.empty(z.shape[0]), np.empty((z.shape[0], z.shape[0]))
    _whiten(state, z, parameters, white, lower)
    square = 0.0
    for i in range(z.shape[0]):
        square += white[i] * white[i]
    # Wilson and Hilferty 1931, The distribution of chi-square.
    spread = 2.0 / (9.0 * max(seen, 1))
    return max(((square / max(seen, 1)) ** (1.0 / 3.0) - (1.0 - spread)) / math.sqrt(spread), 0.0)


@kernel
def _score(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, shares: Floats) -> float:
    z = np.empty(x.shape[0])
    seen = _standardise(state, x, volume, parameters, z)
    deviation = _deviation(state, z, seen, parameters)
    total = 0.0
    for j in range(x.shape[0]):
        total += z[j] * z[j]
    for j in range(x.shape[0]):
        shares[j] = z[j] * z[j] / total if total > 0.0 else 0.0
    return deviation / tail_factor(state[_TAIL])


@kernel
def _learn_metric(state: Floats, j: int, metrics: int, y: float, excess: float, parameters: Floats) -> None:
    level, scatter, known = _LEVELS + j, _LEVELS + metrics + j, _LEVELS + 2 * metrics + j
    state[known] = min(state[known] + 1.0, 1.0 / parameters[_NEWEST])
    difference, step = y - state[level], 1.0 / state[known]
    if state[known] > _CUT_AFTER:
        reach = HUBER_REACH * math.sqrt(state[scatter] * excess + parameters[_FLOOR] ** 2)
        difference = min(max(difference, -reach), reach)
    if state[known] > 1.0:
        state[scatter] += step * (difference * difference / excess - state[scatter])
    state[level] += max(step, parameters[_SMOOTHING] / excess) * difference


@kernel
def _learn(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    if weight == 0.0:
        return
    metrics, newest = x.shape[0], parameters[_NEWEST]
    count = min(state[_COUNT] + 1.0, 1.0 / newest)
    state[_COUNT], step = count, 1.0 / count
    z = np.empty(metrics)
    seen = _standardise(state, x, volume, parameters, z)
    if count > _TAIL_AFTER:
        state[_TAIL] = learn_tail(state[_TAIL], _deviation(state, z, seen, parameters), newest)
    if count > _CUT_AFTER:
        products = _LEVELS + 3 * metrics
        for i in range(metrics):
            for j in range(metrics):
                product = min(max(z[i], -HUBER_REACH), HUBER_REACH) * min(max(z[j], -HUBER_REACH), HUBER_REACH)
                state[products + i * metrics + j] += step * (product - state[products + i * metrics + j])
    excess = _excess(state, volume)
    for j in range(metrics):
        if not np.isnan(x[j]):
            _learn_metric(state, j, metrics, to_scale(x[j], LOG), excess, parameters)
    state[_VOLUME] += step * (volume - state[_VOLUME])


@kernel
def _adopt(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats) -> float:
    metrics = x.shape[0]
    for j in range(metrics):
        if not np.isnan(x[j]):
            known = _LEVELS + 2 * metrics + j
            state[_LEVELS + j], state[known] = to_scale(x[j], LOG), min(state[known], _ADOPTED_SAMPLES)
    state[_COUNT] = min(state[_COUNT], _ADOPTED_SAMPLES)
    return state[_COUNT]


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return deviation_decades(raw_score)


class Hotelling(Detector, frozen=True, tag="hotelling"):
    """How far all metrics together are from what they were of late: finds changes that no metric shows by itself.

    Metrics that go together are judged together: cost that no longer follows tokens is rare long before either is rare
    by itself. Levels follow the last windows, on a logarithmic scale; scatter and correlations are slow, and each
    entity's own, drawn towards no correlation by `shrinkage`. As with `zscore`, deviations grow for windows of few
    calls and shrink by the record of ordinary ones.

    Raw score: standard deviations, the normal ones that are as rare as the sum of squares of the metrics', after their
    correlations are taken out. State: 3 + 3 * metrics + metrics**2 floats an entity. Warm-up: `warm_up_samples` and
    `warm_up_ms`. Sources: Hotelling 1947, Multivariate quality control; Ledoit and Wolf 2004, A well-conditioned
    estimator for large-dimensional covariance matrices; Wilson and Hilferty 1931, The distribution of chi-square.
    """

    half_life: Positive = 240.0
    """Windows after which one counts half in scatter and correlations."""
    smoothing: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Weight of the newest window in the levels."""
    floor: Annotated[float, Meta(gt=0, le=10)] = 0.02
    """Least deviation of a metric that is believed, as a share of its value."""
    shrinkage: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """How far correlations are drawn towards none: of metrics that hardly differ, the difference is not blown up."""
    direction: Literal["high", "low", "both"] = "both"

    form: ClassVar[Literal["series", "vector", "silence"]] = "vector"
    method: ClassVar[str] = "Hotelling's T-squared over all metrics"
    state_version: ClassVar[int] = 2
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise)

    @property
    def state_width(self) -> int:
        """Count, usual volume, record of distances; levels, variances and counts; mean products of deviations."""
        return _LEVELS + 3 * len(self.metrics) + len(self.metrics) ** 2

    def parameters(self) -> Floats:
        """Weights of the newest window in scatter and levels, floor, shrinkage."""
        newest = half_life_weight(self.half_life)
        return np.array([newest, self.smoothing, self.floor, self.shrinkage])
