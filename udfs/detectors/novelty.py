import math
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from udfs.detector import Count, Detector, Duration, Kernels, Positive
from udfs.kernels import Floats, kernel
from udfs.stats.records import RECORD_WIDTH, begin_block, begin_record, excess_beyond, learn_record
from udfs.stats.scale import LINEAR, to_scale
from udfs.stats.time_of_day import PROFILE_WIDTH, expected_at, learn_time_of_day

_BLOCK_SAMPLES, _BLOCK_MS, _WARM_UP_SAMPLES, _REFRACTORY_SAMPLES, _LARGEST_PART, _YOUNG_SAMPLES, _MARGINS = range(7)

# What records are kept of: the value, a short and a long moving average, the same of what the time of day does not
# explain, and the least and the greatest of the last few values, which tell what lasts from a spike. Two more features
# say how far off the level is: a very short average of the residual, and the jump from it.
FEATURES = (
    "value",
    "short average",
    "long average",
    "residual",
    "short residual average",
    "long residual average",
    "least of the last",
    "greatest of the last",
)
_FEATURES = len(FEATURES)
_VALUE, _SHORT, _LONG, _RESIDUAL, _RESIDUAL_SHORT, _RESIDUAL_LONG, _LEAST, _GREATEST = range(_FEATURES)
_RESIDUAL_NEAR, _JUMP = _FEATURES, _FEATURES + 1
_AVERAGED = (_VALUE, _SHORT, _LONG, _RESIDUAL, _RESIDUAL_SHORT, _RESIDUAL_LONG, _RESIDUAL_NEAR)
_LAST = 6
"""Values that count as the last few."""
_SMOOTHING = (1.0, 1.0 / 12.0, 1.0 / 48.0, 1.0, 1.0 / 12.0, 1.0 / 48.0, 1.0, 1.0, 0.25)
_REFRACTORY_SHARE = 0.03
"""After news this share of all observations so far is silent, at most `refractory_samples`."""
_ESCALATION = 4.0

_COUNT, _NEWEST_AT, _STEP_MS, _SPREAD, _NEWS, _NEWS_AT, _BLOCK = range(7)
_AVERAGES = 7
_RECENT = _AVERAGES + _RESIDUAL_NEAR + 1
_CENTRES = _RECENT + _LAST
_SCATTERS = _CENTRES + 3
_RECORDS = _SCATTERS + 3
_PROFILE = _RECORDS + _FEATURES * RECORD_WIDTH
_WIDTH = _PROFILE + PROFILE_WIDTH

_MEAN_TO_DEVIATION = 1.2533  # standard deviations of a normal law per mean absolute deviation
_CLIP = 3.0
_FIRST_SAMPLES = 20.0  # before that there is no scatter to go by
_STEPS_AVERAGED = 10.0
_STEP_FACTOR = 1.02
_LEVEL_SAMPLES = 30_000.0
_BAND = 5.0


@kernel
def _average(state: Floats, feature: int, value: float) -> float:
    """Return the moving average of a feature with one more value; the first ones weigh alike."""
    weight = max(_SMOOTHING[feature], 1.0 / (state[_COUNT] + 1.0))
    return state[_AVERAGES + feature] + weight * (value - state[_AVERAGES + feature])


@kernel
def _write_features(state: Floats, x: float, at_ms: int, features: Floats) -> None:
    """Write all features of an observation that is not yet learnt."""
    residual = x - (expected_at(state, _PROFILE, at_ms) if state[_COUNT] > 0.0 else x)
    for feature in _AVERAGED:
        features[feature] = _average(state, feature, x if feature < _RESIDUAL else residual)
    features[_LEAST] = features[_GREATEST] = x
    for place in range(int(min(state[_COUNT], _LAST))):
        if place != state[_COUNT] % _LAST:
            features[_LEAST] = min(features[_LEAST], state[_RECENT + place])
            features[_GREATEST] = max(features[_GREATEST], state[_RECENT + place])
    features[_JUMP] = residual - state[_AVERAGES + _RESIDUAL_NEAR]


@kernel
def _news(state: Floats, features: Floats, parameters: Floats) -> float:
    """Return what features tell that is new, above > 0, below < 0: nothing in the silence after the last news.

    What is several times as large as the last news is news all the same.
    """
    count = state[_COUNT] + 1.0
    if count <= parameters[_WARM_UP_SAMPLES]:
        return 0.0
    total, side = 0.0, 0.0
    for feature in range(_FEATURES):
        excess = excess_beyond(state, _RECORDS + feature * RECORD_WIDTH, features[feature])
        part = excess / parameters[_MARGINS + feature]
        part = min(max(part, -parameters[_LARGEST_PART]), parameters[_LARGEST_PART])
        total += abs(part)
        side += part
    total /= 1.0 + max(math.log(parameters[_YOUNG_SAMPLES] / count), 0.0)
    silence = min(parameters[_REFRACTORY_SAMPLES], _REFRACTORY_SHARE * count)
    if state[_NEWS_AT] > 0.0 and count - state[_NEWS_AT] <= silence and total < _ESCALATION * state[_NEWS]:
        return 0.0
    return total if side >= 0.0 else -total


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    features = np.empty(_FEATURES + 2)
    _write_features(state, to_scale(x, LINEAR), at_ms, features)
    return _news(state, features, parameters)


@kernel
def deviation_of(state: Floats, x: float, at_ms: int) -> float:
    """Return how far the level of a series is off, in standard deviations, >= 0; it lasts as long as it is off.

    The mean of three: what the time of day does not explain, its very short average, and its jump from that.
    """
    if state[_COUNT] <= 5.0:  # noqa: PLR2004 - no scatter yet
        return 0.0
    features = np.empty(_FEATURES + 2)
    _write_features(state, to_scale(x, LINEAR), at_ms, features)
    total = 0.0
    for k, feature in enumerate((_RESIDUAL, _RESIDUAL_NEAR, _JUMP)):
        distance = abs(features[feature] - state[_CENTRES + k])
        floor = 1e-9 * abs(features[_LONG]) + 1e-12
        total += distance / (_MEAN_TO_DEVIATION * state[_SCATTERS + k] + floor)
    return min(total / 3.0, 1e6)


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    expected = expected_at(state, _PROFILE, at_ms) + state[_CENTRES]
    half = _BAND * reach * _MEAN_TO_DEVIATION * state[_SCATTERS]
    return expected, expected - half, expected + half


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    x = to_scale(x, LINEAR)
    features = np.empty(_FEATURES + 2)
    _write_features(state, x, at_ms, features)
    count = state[_COUNT] + 1.0
    news = abs(_news(state, features, parameters))
    if news >= 1.0:
        state[_NEWS], state[_NEWS_AT] = news, count
    _learn_step(state, float(at_ms), count)
    _learn_records(state, features, parameters)
    if weight > 0.0:
        _learn_level(state, features, count)
        reach = _CLIP * state[_SPREAD] if count > _FIRST_SAMPLES else np.inf
        learn_time_of_day(state, _PROFILE, x, at_ms, count, state[_STEP_MS], reach)
    for feature in _AVERAGED:
        state[_AVERAGES + feature] = features[feature]
    state[_RECENT + int(state[_COUNT] % _LAST)] = x
    state[_COUNT] = count


@kernel
def _learn_records(state: Floats, features: Floats, parameters: Floats) -> None:
    """Take the features into their records, whatever they are: what is broken once is no record any more."""
    state[_BLOCK] += 1.0
    is_over = state[_BLOCK] > parameters[_BLOCK_SAMPLES] and state[_BLOCK] * state[_STEP_MS] > parameters[_BLOCK_MS]
    if is_over:
        state[_BLOCK] = 1.0
    for feature in range(_FEATURES):
        at = _RECORDS + feature * RECORD_WIDTH
        if state[_COUNT] == 0.0:
            begin_record(state, at, features[feature])
        elif is_over:
            begin_block(state, at, features[feature])
        else:
            learn_record(state, at, features[feature])


@kernel
def _learn_step(state: Floats, at_ms: float, count: float) -> None:
    """Learn the usual time between observations: about its median, so that gaps do not matter."""
    step = at_ms - state[_NEWEST_AT]
    if count > 1.0 and step > 0.0:
        if count <= _STEPS_AVERAGED or state[_STEP_MS] == 0.0:
            state[_STEP_MS] = step
        elif step != state[_STEP_MS]:
            state[_STEP_MS] *= _STEP_FACTOR if step > state[_STEP_MS] else 1.0 / _STEP_FACTOR
    state[_NEWEST_AT] = max(state[_NEWEST_AT], at_ms)


@kernel
def _learn_level(state: Floats, features: Floats, count: float) -> None:
    """Learn where the features of the level usually are and how they scatter, outliers cut off (Huber 1964)."""
    weight = max(1.0 / count, 1.0 / _LEVEL_SAMPLES)
    for k, feature in enumerate((_RESIDUAL, _RESIDUAL_NEAR, _JUMP)):
        difference = features[feature] - state[_CENTRES + k]
        reach = _CLIP * state[_SCATTERS + k] if count > _FIRST_SAMPLES else np.inf
        difference = min(max(difference, -reach), reach)
        state[_CENTRES + k] += weight * difference
        state[_SCATTERS + k] += weight * (abs(difference) - state[_SCATTERS + k])
    distance = abs(features[_VALUE] - state[_PROFILE])
    reach = _CLIP * state[_SPREAD] if count > _FIRST_SAMPLES else np.inf
    state[_SPREAD] += weight * (min(distance, reach) - state[_SPREAD])


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    # Records and averages have followed all along: there is no other baseline to move.
    _learn(state, x, volume, at_ms, parameters, 1.0)
    return state[_COUNT]


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return 6.0 * raw_score


class Novelty(Detector, frozen=True, tag="novelty"):
    """What a series has never done before, by the records that several of its features break together; for any series.

    Features are the value, a short and a long moving average, the same of what its time of day does not explain, and
    the least and the greatest of the last six values, since what lasts is news sooner than a spike.
    Each has a record to both sides, which holds for weeks. The score adds up by which multiple of its margin each
    feature breaks its record, cut off so that no single feature decides for more than it knows; while a series is
    young it counts for less. After news the detector is silent for a while, which a series' age decides: what goes on
    is no news, unless it is several times as large.

    Raw score: multiples of what makes an anomaly. State: 159 floats a series (1.3 kB). Warm-up: 120 observations, of
    any step. Scores are calibrated by convention, six decades for each multiple. Sources: `udfs.stats.records`,
    `udfs.stats.time_of_day`.
    """

    warning: Positive = 1.0
    critical: Positive | None = 3.0
    warm_up_samples: Count = 120
    warm_up_ms: Duration = 0
    block_samples: Positive = 2_000.0
    """A record holds for one to two blocks of at least so many observations"""
    block_ms: Positive = 7 * 86_400_000.0
    """and at least so long."""
    margins: Annotated[tuple[Positive, ...], Meta(min_length=_FEATURES, max_length=_FEATURES)] = (
        *(0.04, 0.04, 0.02),
        *(0.04, 0.08, 0.08),
        *(0.16, 0.06),
    )
    """By which share of its range each feature must break its record to be an anomaly by itself."""
    largest_part: Positive = 1.5
    """What one feature adds to the score at most: more must be confirmed by others."""
    young_samples: Positive = 2_000.0
    """A younger series breaks records all the time: its score is divided by 1 + log(this / observations)."""
    refractory_samples: Positive = 150.0
    """Most observations that are silent after news."""

    method: ClassVar[str] = "records of several features"
    unit: ClassVar[str] = "multiples"
    state_version: ClassVar[int] = 2
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Clock, news, averages, last values, centres and scatters of the level, records, time of day."""
        return _WIDTH

    def parameters(self) -> Floats:
        """How long records last, warm-up, silence, how scores are added up, margins."""
        times = (self.block_samples, self.block_ms, self.warm_up_samples, self.refractory_samples)
        return np.array([*times, self.largest_part, self.young_samples, *self.margins], dtype=np.float64)
