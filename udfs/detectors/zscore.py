from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import deviation_decades
from udfs.detector import Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.moments import MEAN, MOMENTS_WIDTH, adopt_level, learn_moments, spread_of
from udfs.stats.scale import LINEAR, LOG, floor_on_scale, from_scale, to_scale
from udfs.stats.tail import TAIL_WIDTH, learn_tail, tail_factor

_SCALE, _FLOOR, _NEWEST = range(3)
_TAIL = MOMENTS_WIDTH


@kernel
def _spread(state: Floats, volume: float, parameters: Floats) -> float:
    return spread_of(state, volume, floor_on_scale(state[MEAN], parameters[_FLOOR], parameters[_SCALE]))


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    deviation = (to_scale(x, parameters[_SCALE]) - state[MEAN]) / _spread(state, volume, parameters)
    return deviation / tail_factor(state[_TAIL])


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    half = reach * tail_factor(state[_TAIL]) * _spread(state, volume, parameters)
    scale = parameters[_SCALE]
    return from_scale(state[MEAN], scale), from_scale(state[MEAN] - half, scale), from_scale(state[MEAN] + half, scale)


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    if weight == 0.0:
        return
    y = to_scale(x, parameters[_SCALE])
    floor = floor_on_scale(state[MEAN], parameters[_FLOOR], parameters[_SCALE])
    deviation = (y - state[MEAN]) / spread_of(state, volume, floor)
    # A spread that rests on a few values says nothing about tails yet.
    if state[0] > _TAIL_AFTER:
        state[_TAIL] = learn_tail(state[_TAIL], deviation, parameters[_NEWEST])
    learn_moments(state, y, volume, floor, parameters[_NEWEST])


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    return adopt_level(state, to_scale(x, parameters[_SCALE]))


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return deviation_decades(raw_score)


_TAIL_AFTER = 20.0


class ZScore(Detector, frozen=True, tag="zscore"):
    """Distance from an exponentially weighted mean, in standard deviations: the plain detector of sudden changes.

    Latencies, tokens and costs are compared on a logarithmic scale, where factors are distances and their heavy tails
    are light. The deviation grows for windows of fewer calls than usual, and by the factor that the record of ordinary
    deviations exceeds a normal law's; a constant baseline has a floor as deviation, so that a jump from it is seen.

    Raw score: standard deviations. State: 5 floats a series. Warm-up: `warm_up_samples` and `warm_up_ms`. Sources:
    Finch 2009, Incremental calculation of weighted mean and variance; Huber 1964, Robust estimation of a location
    parameter. `udfs.stats.moments` and `udfs.stats.tail` say how each is used.
    """

    half_life: Positive = 360.0
    """Observations after which one counts half."""
    scale: Literal["log", "linear"] = "log"
    """Whether distances are those of logarithms or of the values themselves."""
    floor: Annotated[float, Meta(gt=0, le=10)] = 0.05
    """Least deviation that is believed, as a share of the value: 0.05 is 5 per cent."""

    method: ClassVar[str] = "z-score against an exponentially weighted mean"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Count, mean, variance, usual volume, record of deviations."""
        return MOMENTS_WIDTH + TAIL_WIDTH

    def parameters(self) -> Floats:
        """Scale, floor, weight of the newest observation."""
        return np.array([LOG if self.scale == "log" else LINEAR, self.floor, half_life_weight(self.half_life)])
