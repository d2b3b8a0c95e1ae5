import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import deviation_decades
from udfs.detector import STEP_MS, Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.moments import (
    COUNT,
    HUBER_REACH,
    MEAN,
    MOMENTS_WIDTH,
    VARIANCE,
    adopt_level,
    excess_of,
    learn_moments,
    spread_of,
)
from udfs.stats.scale import LINEAR, LOG, floor_on_scale, from_scale, to_scale
from udfs.stats.season import SEASON_WIDTH, learn_season, season_at
from udfs.stats.tail import learn_tail, tail_factor

_SCALE, _FLOOR, _NEWEST, _SMOOTHING, _FROM_COUNT, _STEP_MS = range(6)
_AVERAGE, _AVERAGE_VARIANCE, _TAIL, _SEASON = range(MOMENTS_WIDTH, MOMENTS_WIDTH + 4)

# One window moves the average as if it were no farther out than this: a change has to last to be one.
_LARGEST_STEP = 4.0
# What every window of a rate is taken to sum up; how many more or fewer are usual at a time, the season says.
_CALLS = 1e6


@kernel
def _floor(state: Floats, parameters: Floats) -> float:
    return floor_on_scale(state[MEAN], parameters[_FLOOR], parameters[_SCALE])


@kernel
def _season(state: Floats, at_ms: int, parameters: Floats) -> float:
    return season_at(state, _SEASON, at_ms) if parameters[_STEP_MS] > 0.0 else 0.0


@kernel
def _weight(season: float, volume: float, parameters: Floats) -> float:
    """Return the calls that the scatter of a window is judged by: a rate's are those that are usual at its time."""
    return _CALLS * math.exp(season) if parameters[_STEP_MS] > 0.0 else volume


@kernel
def _average(state: Floats, difference: float, volume: float, parameters: Floats) -> float:
    """Return the average of the deviations from what is usual with one more; one of few calls weighs less."""
    reach = _LARGEST_STEP * spread_of(state, volume, _floor(state, parameters))
    difference = min(max(difference, -reach), reach)
    return state[_AVERAGE] + parameters[_SMOOTHING] / excess_of(state, volume) * (difference - state[_AVERAGE])


@kernel
def _deviation(state: Floats, parameters: Floats) -> float:
    """Return the standard deviation of the average, the uncertainty of the mean included."""
    floor = _floor(state, parameters)
    return math.sqrt(state[_AVERAGE_VARIANCE] + state[VARIANCE] / max(state[COUNT], 1.0) + floor * floor)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    season = _season(state, at_ms, parameters)
    difference = to_scale(x, parameters[_SCALE]) - season - state[MEAN]
    average = _average(state, difference, _weight(season, volume, parameters), parameters)
    # The average outlives the change by a while; a window on the other side of the mean ends it.
    if difference * average <= 0.0:
        return 0.0
    return average / _deviation(state, parameters) / tail_factor(state[_TAIL])


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    # What the average may come to; one window may be farther out.
    half = reach * tail_factor(state[_TAIL]) * _deviation(state, parameters)
    usual, scale = state[MEAN] + _season(state, at_ms, parameters), parameters[_SCALE]
    return from_scale(usual, scale), from_scale(usual - half, scale), from_scale(usual + half, scale)


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    season, newest = _season(state, at_ms, parameters), parameters[_NEWEST]
    y = to_scale(x, parameters[_SCALE]) - season
    judged_by = _weight(season, volume, parameters)
    if state[COUNT] >= parameters[_FROM_COUNT]:
        before = abs(state[_AVERAGE])
        state[_AVERAGE] = _average(state, y - state[MEAN], judged_by, parameters)
        if weight > 0.0:
            step = max(newest, 1.0 / (state[COUNT] - parameters[_FROM_COUNT] + 1.0))
            reach = HUBER_REACH * _deviation(state, parameters)
            size = abs(state[_AVERAGE])
            # An excursion teaches how far ordinary ones go when it is over: one that is still growing may be a change,
            # which would otherwise vouch for itself, a little with each window.
            if size < before:
                state[_TAIL] = learn_tail(state[_TAIL], size / _deviation(state, parameters), newest)
            state[_AVERAGE_VARIANCE] += step * (min(size, reach) ** 2 - state[_AVERAGE_VARIANCE])
            if parameters[_STEP_MS] > 0.0:
                reach = HUBER_REACH * spread_of(state, judged_by, _floor(state, parameters))
                learn_season(state, _SEASON, min(max(y - state[MEAN], -reach), reach), at_ms, parameters[_STEP_MS])
    if weight > 0.0:
        learn_moments(state, y, _CALLS if parameters[_STEP_MS] > 0.0 else volume, _floor(state, parameters), newest)


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    level = state[MEAN] + state[_AVERAGE]
    state[_AVERAGE] = 0.0
    return adopt_level(state, level)


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return deviation_decades(raw_score)


class MovingAverage(Detector, frozen=True, tag="moving_average"):
    """Distance of a fast moving average from a slow one: finds changes that none of several windows shows.

    The fast average is of each window's deviation from the slow one, cut off at four standard deviations, with less
    weight for windows of few calls. How much it scatters when all is well is measured, so that latencies that wander by
    themselves have wide bands and steady ones narrow ones.

    Raw score: standard deviations of the fast average. State: 7 floats a series, 200 with a season. Warm-up:
    `warm_up_samples`, of which half teach only the slow average, and `warm_up_ms`. Sources: Roberts 1959, Control chart
    tests based on geometric moving averages; `udfs.stats.season`.
    """

    half_life: Positive = 720.0
    """Observations after which one counts half in the slow average."""
    smoothing: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Weight of the newest window in the fast average."""
    scale: Literal["log", "linear"] = "log"
    """Whether distances are those of logarithms or of the values themselves."""
    floor: Annotated[float, Meta(gt=0, le=10)] = 0.05
    """Least deviation that is believed, as a share of the value: 0.05 is 5 per cent."""
    season: bool = False
    """Whether the slow average has a course of the day and the week; for rates, on a logarithmic scale.

    The scatter is then larger where fewer calls are usual, not where fewer came: a fall is as remarkable as a rise."""

    method: ClassVar[str] = "fast against slow moving average"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    def __post_init__(self) -> None:
        """Refuse a season of values that are not compared by their logarithms."""
        if self.season and self.scale != "log":
            raise ValueError("a `season` is learnt of logarithms: leave out `scale: linear` or `season: true`")

    @property
    def state_width(self) -> int:
        """Count, mean, variance, usual volume; fast average of deviations, its variance, its record; the season."""
        return MOMENTS_WIDTH + 3 + (SEASON_WIDTH if self.season else 0)

    def parameters(self) -> Floats:
        """Scale, floor, weight of the newest observation in both averages, samples from which the fast one runs.

        At last, if there is a season, the ms between two observations, and 0 if not.
        """
        scale = LOG if self.scale == "log" else LINEAR
        newest = half_life_weight(self.half_life)
        step_ms = STEP_MS[self.on] if self.season else 0
        return np.array([scale, self.floor, newest, self.smoothing, self.warm_up_samples / 2, step_ms])
