import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from schemas.anomaly import DetectorType
from udfs.calibration import deviation_decades
from udfs.detector import Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.scale import LOG, to_scale

_NEWEST, _TREES, _HEIGHT, _FLOOR, _NODES = range(5)
_COUNT, _BITS, _BITS_VARIANCE, _MEANS = range(4)

# Features are clipped here, in standard deviations; splits lie within.
_EDGE = 8.0
# Masses are learnt once the features are standardised well enough, raw scores once the masses have settled.
_MASSES_AFTER = 30.0
_BITS_AFTER = 100.0
_BITS_FLOOR = 0.2
_HUBER_REACH = 3.0


@kernel
def _feature(state: Floats, x: Floats, j: int, parameters: Floats) -> float:
    """Return one metric in standard deviations; 0, as expected, where it is missing."""
    if np.isnan(x[j]):
        return 0.0
    difference = to_scale(x[j], LOG) - state[_MEANS + 2 * j]
    floor = parameters[_FLOOR]
    z = difference / math.sqrt(state[_MEANS + 2 * j + 1] + floor * floor)
    return min(max(z, -_EDGE), _EDGE)


@kernel
def _leaf(state: Floats, x: Floats, tree: int, parameters: Floats) -> int:
    """Return the position in the state of the mass of the leaf that x falls into."""
    leaves = 1 << int(parameters[_HEIGHT])
    node, first = 1, _NODES + 2 * tree * (leaves - 1)
    while node < leaves:
        at = first + 2 * (node - 1)
        goes_right = _feature(state, x, int(parameters[at]), parameters) >= parameters[at + 1]
        node = 2 * node + (1 if goes_right else 0)
    return _MEANS + 2 * x.shape[0] + tree * leaves + node - leaves


@kernel
def _bits(state: Floats, x: Floats, parameters: Floats) -> float:
    """Return the mean over the trees of minus the binary logarithm of the mass that shares the leaf of x."""
    trees = int(parameters[_TREES])
    # A leaf that was never visited holds less than one visit.
    least = 0.25 * parameters[_NEWEST]
    total = 0.0
    for tree in range(trees):
        total -= math.log2(max(state[_leaf(state, x, tree, parameters)], least))
    return total / trees


@kernel
def _score(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, shares: Floats) -> float:
    deviation = (_bits(state, x, parameters) - state[_BITS]) / math.sqrt(state[_BITS_VARIANCE] + _BITS_FLOOR**2)
    total = 0.0
    for j in range(x.shape[0]):
        shares[j] = _feature(state, x, j, parameters) ** 2
        total += shares[j]
    for j in range(x.shape[0]):
        shares[j] = shares[j] / total if total > 0.0 else 0.0
    return max(deviation, 0.0) if state[_COUNT] > _BITS_AFTER else 0.0


@kernel
def _learn_bits(state: Floats, x: Floats, parameters: Floats) -> None:
    """Learn how surprising ordinary windows are, once the masses they are measured by have settled."""
    if state[_COUNT] <= _BITS_AFTER:
        return
    bits, step = _bits(state, x, parameters), max(1.0 / (state[_COUNT] - _BITS_AFTER), parameters[_NEWEST])
    reach = _HUBER_REACH * math.sqrt(state[_BITS_VARIANCE] + _BITS_FLOOR**2)
    difference = bits - state[_BITS]
    if step < 0.1:  # noqa: PLR2004 - the first few have no scatter to go by
        difference = min(max(difference, -reach), reach)
    state[_BITS] += step * difference
    state[_BITS_VARIANCE] += step * ((1.0 - step) * difference * difference - state[_BITS_VARIANCE])


@kernel
def _learn(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    if weight == 0.0:
        return
    _learn_bits(state, x, parameters)
    newest, trees = parameters[_NEWEST], int(parameters[_TREES])
    leaves = 1 << int(parameters[_HEIGHT])
    masses = _MEANS + 2 * x.shape[0]
    if state[_COUNT] == 0.0:
        for k in range(trees * leaves):
            state[masses + k] = 1.0 / leaves
    state[_COUNT] = min(state[_COUNT] + 1.0, 1.0 / newest)
    _learn_bits(state, x, parameters)
    if state[_COUNT] > _MASSES_AFTER:
        step = max(1.0 / state[_COUNT], newest)
        for tree in range(trees):
            leaf = _leaf(state, x, tree, parameters)
            for k in range(leaves):
                state[masses + tree * leaves + k] *= 1.0 - step
            state[leaf] += step
    step = 1.0 / state[_COUNT]
    for j in range(x.shape[0]):
        if not np.isnan(x[j]):
            mean, variance = _MEANS + 2 * j, _MEANS + 2 * j + 1
            difference = to_scale(x[j], LOG) - state[mean]
            if state[_COUNT] > _MASSES_AFTER:
                reach = _HUBER_REACH * math.sqrt(state[variance] + parameters[_FLOOR] ** 2)
                difference = min(max(difference, -reach), reach)
            state[mean] += step * difference
            state[variance] += step * ((1.0 - step) * difference * difference - state[variance])


@kernel
def _adopt(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats) -> float:
    state[:] = 0.0
    return 0.0


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return deviation_decades(raw_score)


_MASK = (1 << 64) - 1


def _random(seed: int, position: int) -> float:
    """Return a number in [0, 1) that is a function of seed and position (Steele et al. 2014, SplitMix64)."""
    word = (seed * 0x9E3779B97F4A7C15 + (position + 1) * 0xD1B54A32D192ED03) & _MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((word ^ (word >> 31)) >> 11) / (1 << 53)


class HalfSpaceForest(Detector, frozen=True, tag="half_space_forest"):
    """How empty the part of the space of all metrics is that a window falls into: finds odd combinations.

    Metrics are taken on a logarithmic scale and standardised. Random trees, a function of `seed`, halve the space; the
    masses of their leaves are the slowly fading shares of windows that fell there. The score is the mean logarithm of
    the masses around a window, standardised by its own past. A missing metric counts as expected.

    Raw score: standard deviations of the mean binary logarithm of mass. State: 3 + 2 * metrics + trees * 2**height
    floats an entity. Warm-up: 100 windows at least, besides `warm_up_samples` and `warm_up_ms`. Source: Tan, Ting and
    Liu 2011, Fast anomaly detection for streaming data; masses fade exponentially here instead of by two windows.
    """

    trees: Annotated[int, Meta(ge=1, le=64)] = 12
    """Random trees; the more, the smoother the score and the larger the state."""
    height: Annotated[int, Meta(ge=1, le=8)] = 4
    """Times that a tree halves the space."""
    half_life: Positive = 720.0
    """Windows after which one counts half."""
    floor: Annotated[float, Meta(gt=0, le=10)] = 0.05
    """Least deviation of a metric that is believed, as a share of its value."""
    seed: Annotated[int, Meta(ge=0)] = 1
    """Which random trees; another one begins anew in meaning, so change it with the detector_id."""
    direction: Literal["high", "low", "both"] = "both"

    form: ClassVar[Literal["series", "vector", "silence"]] = "vector"
    detector_type: ClassVar[DetectorType] = DetectorType.ML
    method: ClassVar[str] = "half-space trees over all metrics"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise)

    @property
    def state_width(self) -> int:
        """Count; mean and variance of the raw score; mean and variance of each metric; masses of all leaves."""
        return _MEANS + 2 * len(self.metrics) + self.trees * 2**self.height

    def parameters(self) -> Floats:
        """Weight of the newest window, shape of the trees, floor; then feature and threshold of each inner node."""
        nodes = []
        for tree in range(self.trees):
            nodes.extend(self._tree(tree))
        head = [half_life_weight(self.half_life), self.trees, self.height, self.floor]
        return np.array([*head, *nodes], dtype=np.float64)

    def _tree(self, tree: int) -> list[float]:
        metrics = len(self.metrics)
        # The space of each tree is cut off differently, or all trees would split at the same places.
        centre = [2.0 * _random(self.seed, (tree * 64 + j) * 2) - 1.0 for j in range(metrics)]
        ranges = {1: [(middle - 4.0, middle + 4.0) for middle in centre]}
        split: list[float] = []
        for node in range(1, 2**self.height):
            feature = int(_random(self.seed, (tree * 4096 + node) * 2 + 1) * metrics)
            low, high = ranges[node][feature]
            middle = 0.5 * (low + high)
            split.extend((float(feature), middle))
            for child, part in ((2 * node, (low, middle)), (2 * node + 1, (middle, high))):
                ranges[child] = [*ranges[node][:feature], part, *ranges[node][feature + 1 :]]
        return split
