import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import nats_decades
from udfs.detector import Detector, Kernels, NonNegative, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.moments import COUNT, MEAN, MOMENTS_WIDTH, adopt_level, learn_moments, spread_of
from udfs.stats.scale import LINEAR, LOG, floor_on_scale, from_scale, to_scale

_SCALE, _FLOOR, _NEWEST, _SLACK, _LARGEST, _FROM_COUNT = range(6)
_CORRELATION, _PREVIOUS, _HIGH_SUM, _LOW_SUM = range(MOMENTS_WIDTH, MOMENTS_WIDTH + 4)

# One observation adds no more than this less the slack: a change has to last to be one.
_LARGEST_STEP = 4.0
_LARGEST_CORRELATION = 0.97


@kernel
def _spread(state: Floats, volume: float, parameters: Floats) -> float:
    return spread_of(state, volume, floor_on_scale(state[MEAN], parameters[_FLOOR], parameters[_SCALE]))


@kernel
def _inflation(state: Floats) -> float:
    """Return by how much neighbouring observations that resemble each other inflate the deviation of a sum."""
    correlation = min(max(state[_CORRELATION], 0.0), _LARGEST_CORRELATION)
    return math.sqrt((1.0 + correlation) / (1.0 - correlation))


@kernel
def _standardised(state: Floats, x: float, volume: float, parameters: Floats) -> float:
    z = (to_scale(x, parameters[_SCALE]) - state[MEAN]) / _spread(state, volume, parameters)
    return min(max(z, -_LARGEST_STEP), _LARGEST_STEP)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    z = _standardised(state, x, volume, parameters) / _inflation(state)
    # The sum outlives the change by a while; an observation that is as expected ends it.
    if z > 0.0:
        return max(state[_HIGH_SUM] + z - parameters[_SLACK], 0.0)
    return -max(state[_LOW_SUM] - z - parameters[_SLACK], 0.0)


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    # What the sums still have room for in one step.
    unit, slack = _spread(state, volume, parameters) * _inflation(state), parameters[_SLACK]
    high = state[MEAN] + max(reach - state[_HIGH_SUM] + slack, 0.0) * unit
    low = state[MEAN] - max(reach - state[_LOW_SUM] + slack, 0.0) * unit
    scale = parameters[_SCALE]
    return from_scale(state[MEAN], scale), from_scale(low, scale), from_scale(high, scale)


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    z = _standardised(state, x, volume, parameters)
    if state[COUNT] >= parameters[_FROM_COUNT]:
        step, slack = z / _inflation(state), parameters[_SLACK]
        state[_HIGH_SUM] = min(max(state[_HIGH_SUM] + step - slack, 0.0), parameters[_LARGEST])
        state[_LOW_SUM] = min(max(state[_LOW_SUM] - step - slack, 0.0), parameters[_LARGEST])
    if weight == 0.0:
        return
    newest = parameters[_NEWEST]
    if state[COUNT] >= parameters[_FROM_COUNT]:
        state[_CORRELATION] += newest * (z * state[_PREVIOUS] - state[_CORRELATION])
        state[_PREVIOUS] = z
    floor = floor_on_scale(state[MEAN], parameters[_FLOOR], parameters[_SCALE])
    learn_moments(state, to_scale(x, parameters[_SCALE]), volume, floor, newest)


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    state[_HIGH_SUM] = state[_LOW_SUM] = state[_PREVIOUS] = 0.0
    return adopt_level(state, to_scale(x, parameters[_SCALE]))


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    # A sum of standardised values less the slack k is a log likelihood ratio, of a shift by 2 k, divided by 2 k.
    return nats_decades(2.0 * parameters[_SLACK] * raw_score)


class Cusum(Detector, frozen=True, tag="cusum"):
    """Cumulative sum of deviations from a slow moving average: finds small changes no single value shows.

    Each window adds its standardised deviation less a slack, to a sum for rises and one for falls that never go below
    zero. Deviations are divided by how much neighbouring windows resemble each other (their first autocorrelation), so
    that slow waves are no changes. The sums carry on while the change lasts; the average does not follow it.

    Raw score: the sum, in standard deviations. State: 8 floats a series. Warm-up: `warm_up_samples` and `warm_up_ms`.
    Sources: Page 1954, Continuous inspection schemes; Siegmund 1985, Sequential analysis (with slack k, a false alarm
    comes every exp(2 k (h + 1.166)) / (2 k**2) windows at threshold h, about).
    """

    half_life: Positive = 720.0
    """Observations after which one counts half in the moving average."""
    slack: Annotated[float, Meta(gt=0, le=3)] = 0.75
    """Half the change that is found fastest, in standard deviations."""
    scale: Literal["log", "linear"] = "log"
    """Whether distances are those of logarithms or of the values themselves."""
    floor: NonNegative = 0.15
    """Least deviation that is believed, as a share of the value: changes below the slack's share of it are none."""

    method: ClassVar[str] = "cumulative sum of deviations from a moving average"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Count, mean, variance, usual volume; autocorrelation and last deviation; the two sums."""
        return MOMENTS_WIDTH + 4

    def parameters(self) -> Floats:
        """Scale, floor, weight of the newest observation, slack, where the sums end, samples from which they run."""
        scale = LOG if self.scale == "log" else LINEAR
        # Sums that grow without end would outlive the change for as long as it lasted.
        largest = max(self.critical or 0.0, 1.2 * self.warning)
        return np.array(
            [scale, self.floor, half_life_weight(self.half_life), self.slack, largest, self.warm_up_samples / 2]
        )
