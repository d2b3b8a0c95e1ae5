import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import deviation_decades
from udfs.detector import Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.quantiles import COUNT, FIRST_MEANS, MAD, MAD_WIDTH, MEDIAN, NORMAL_PER_MAD, VOLUME, learn_median
from udfs.stats.scale import LINEAR, LOG, floor_on_scale, from_scale, to_scale
from udfs.stats.tail import TAIL_WIDTH, learn_tail, tail_factor

_SCALE, _FLOOR, _NEWEST = range(3)
_TAIL = MAD_WIDTH
_ADOPTED_SAMPLES = 8.0
# Variance of a median of n normal values, times n / sigma**2.
_MEDIAN_VARIANCE = math.pi / 2.0


@kernel
def _excess(state: Floats, volume: float) -> float:
    return max(state[VOLUME] / max(volume, 1.0), 1.0)


@kernel
def _floor(state: Floats, parameters: Floats) -> float:
    return floor_on_scale(state[MEDIAN], parameters[_FLOOR], parameters[_SCALE])


@kernel
def _spread(state: Floats, volume: float, parameters: Floats) -> float:
    uncertainty = 1.0 + _MEDIAN_VARIANCE / max(state[COUNT], 1.0)
    deviation = NORMAL_PER_MAD * state[MAD] * math.sqrt(_excess(state, volume) * uncertainty)
    floor = _floor(state, parameters)
    return math.sqrt(deviation * deviation + floor * floor)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    deviation = (to_scale(x, parameters[_SCALE]) - state[MEDIAN]) / _spread(state, volume, parameters)
    return deviation / tail_factor(state[_TAIL])


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    half = reach * tail_factor(state[_TAIL]) * _spread(state, volume, parameters)
    median, scale = state[MEDIAN], parameters[_SCALE]
    return from_scale(median, scale), from_scale(median - half, scale), from_scale(median + half, scale)


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    if weight == 0.0:
        return
    y = to_scale(x, parameters[_SCALE])
    if state[COUNT] > FIRST_MEANS:
        deviation = (y - state[MEDIAN]) / _spread(state, volume, parameters)
        state[_TAIL] = learn_tail(state[_TAIL], deviation, parameters[_NEWEST])
    learn_median(state, y, volume, _excess(state, volume), _floor(state, parameters), parameters[_NEWEST])


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    # As after that many samples: the first ones move the median by averaging.
    state[MEDIAN] = to_scale(x, parameters[_SCALE])
    state[COUNT] = min(state[COUNT], _ADOPTED_SAMPLES)
    return state[COUNT]


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return deviation_decades(raw_score)


class RobustZScore(Detector, frozen=True, tag="robust_zscore"):
    """Distance from the running median in scaled median absolute deviations: a z-score that outliers cannot blunt.

    Both medians are tracked by stochastic approximation, so that an observation moves them by one small step however
    far out it is. As with `zscore`, deviations grow for windows of few calls and shrink by the record of ordinary ones.

    Raw score: standard deviations (1.4826 MAD). State: 5 floats a series. Warm-up: `warm_up_samples` and `warm_up_ms`.
    Sources: Iglewicz and Hoaglin 1993, How to detect and handle outliers; `udfs.stats.quantiles`.
    """

    half_life: Positive = 360.0
    """Observations after which one counts half."""
    scale: Literal["log", "linear"] = "log"
    """Whether distances are those of logarithms or of the values themselves."""
    floor: Annotated[float, Meta(gt=0, le=10)] = 0.05
    """Least deviation that is believed, as a share of the value: 0.05 is 5 per cent."""

    method: ClassVar[str] = "z-score against the running median, in median absolute deviations"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Count, median, median absolute deviation, usual volume, record of deviations."""
        return MAD_WIDTH + TAIL_WIDTH

    def parameters(self) -> Floats:
        """Scale, floor, weight of the newest observation."""
        return np.array([LOG if self.scale == "log" else LINEAR, self.floor, half_life_weight(self.half_life)])
