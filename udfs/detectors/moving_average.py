import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import deviation_decades
from udfs.detector import Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.moments import COUNT, MEAN, MOMENTS_WIDTH, VARIANCE, adopt_level, excess_of, learn_moments, spread_of
from udfs.stats.scale import LINEAR, LOG, floor_on_scale, from_scale, to_scale
from udfs.stats.tail import learn_tail, tail_factor

_SCALE, _FLOOR, _NEWEST, _SMOOTHING, _FROM_COUNT = range(5)
_AVERAGE, _AVERAGE_VARIANCE, _TAIL = range(MOMENTS_WIDTH, MOMENTS_WIDTH + 3)

# One window moves the average as if it were no farther out than this: a change has to last to be one.
_LARGEST_STEP = 4.0
_HUBER_REACH = 3.0


@kernel
def _floor(state: Floats, parameters: Floats) -> float:
    return floor_on_scale(state[MEAN], parameters[_FLOOR], parameters[_SCALE])


@kernel
def _average(state: Floats, y: float, volume: float, parameters: Floats) -> float:
    """Return the average of the deviations from the mean with one more; one of few calls weighs less."""
    reach = _LARGEST_STEP * spread_of(state, volume, _floor(state, parameters))
    difference = min(max(y - state[MEAN], -reach), reach)
    return state[_AVERAGE] + parameters[_SMOOTHING] / excess_of(state, volume) * (difference - state[_AVERAGE])


@kernel
def _deviation(state: Floats, parameters: Floats) -> float:
    """Return the standard deviation of the average, the uncertainty of the mean included."""
    floor = _floor(state, parameters)
    return math.sqrt(state[_AVERAGE_VARIANCE] + state[VARIANCE] / max(state[COUNT], 1.0) + floor * floor)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    y = to_scale(x, parameters[_SCALE])
    average = _average(state, y, volume, parameters)
    # The average outlives the change by a while; a window on the other side of the mean ends it.
    if (y - state[MEAN]) * average <= 0.0:
        return 0.0
    return average / _deviation(state, parameters) / tail_factor(state[_TAIL])


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    # What the average may come to; one window may be farther out.
    half = reach * tail_factor(state[_TAIL]) * _deviation(state, parameters)
    scale = parameters[_SCALE]
    return from_scale(state[MEAN], scale), from_scale(state[MEAN] - half, scale), from_scale(state[MEAN] + half, scale)


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    y, newest = to_scale(x, parameters[_SCALE]), parameters[_NEWEST]
    if state[COUNT] >= parameters[_FROM_COUNT]:
        before = abs(state[_AVERAGE])
        state[_AVERAGE] = _average(state, y, volume, parameters)
        if weight > 0.0:
            step = max(newest, 1.0 / (state[COUNT] - parameters[_FROM_COUNT] + 1.0))
            reach = _HUBER_REACH * _deviation(state, parameters)
            size = abs(state[_AVERAGE])
            # An excursion teaches how far ordinary ones go when it is over: one that is still growing may be a change,
            # which would otherwise vouch for itself, a little with each window.
            if size < before:
                state[_TAIL] = learn_tail(state[_TAIL], size / _deviation(state, parameters), newest)
            state[_AVERAGE_VARIANCE] += step * (min(size, reach) ** 2 - state[_AVERAGE_VARIANCE])
    if weight > 0.0:
        learn_moments(state, y, volume, _floor(state, parameters), newest)


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

    Raw score: standard deviations of the fast average. State: 7 floats a series. Warm-up: `warm_up_samples`, of which
    half teach only the slow average, and `warm_up_ms`. Source: Roberts 1959, Control chart tests based on geometric
    moving averages.
    """

    half_life: Positive = 720.0
    """Observations after which one counts half in the slow average."""
    smoothing: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Weight of the newest window in the fast average."""
    scale: Literal["log", "linear"] = "log"
    """Whether distances are those of logarithms or of the values themselves."""
    floor: Annotated[float, Meta(gt=0, le=10)] = 0.05
    """Least deviation that is believed, as a share of the value: 0.05 is 5 per cent."""

    method: ClassVar[str] = "fast against slow moving average"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Count, mean, variance, usual volume; fast average of deviations, its variance, its record."""
        return MOMENTS_WIDTH + 3

    def parameters(self) -> Floats:
        """Scale, floor, weight of the newest observation in both averages, samples from which the fast one runs."""
        scale = LOG if self.scale == "log" else LINEAR
        newest = half_life_weight(self.half_life)
        return np.array([scale, self.floor, newest, self.smoothing, self.warm_up_samples / 2])
