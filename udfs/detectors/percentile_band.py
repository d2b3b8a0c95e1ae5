import math
from statistics import NormalDist
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import deviation_decades
from udfs.detector import Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.quantiles import BAND_VOLUME, BAND_WIDTH, COUNT, FIRST_BAND, HIGH, LOW, learn_band
from udfs.stats.scale import LINEAR, LOG, floor_on_scale, from_scale, to_scale

_SCALE, _FLOOR, _NEWEST, _SHARE, _NORMAL = range(5)
_MEDIAN = 1
_ADOPTED_SAMPLES = FIRST_BAND + 10.0


@kernel
def _widening(state: Floats, volume: float) -> float:
    return math.sqrt(max(state[BAND_VOLUME] / max(volume, 1.0), 1.0))


@kernel
def _half(state: Floats, is_high: bool, volume: float, parameters: Floats) -> float:  # noqa: FBT001
    floor = floor_on_scale(state[_MEDIAN], parameters[_FLOOR], parameters[_SCALE])
    half = state[HIGH] - state[_MEDIAN] if is_high else state[_MEDIAN] - state[LOW]
    # A side is believed to be no thinner than a third of the other: a quantile that few values passed is a guess.
    other = (state[HIGH] - state[LOW]) / 4.0
    return max(half, other, parameters[_NORMAL] * floor) * _widening(state, volume)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    difference = to_scale(x, parameters[_SCALE]) - state[_MEDIAN]
    return difference / _half(state, difference > 0.0, volume, parameters)


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    median, scale = state[_MEDIAN], parameters[_SCALE]
    low = median - reach * _half(state, False, volume, parameters)
    high = median + reach * _half(state, True, volume, parameters)
    return from_scale(median, scale), from_scale(low, scale), from_scale(high, scale)


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    if weight == 0.0:
        return
    y = to_scale(x, parameters[_SCALE])
    floor = floor_on_scale(state[_MEDIAN], parameters[_FLOOR], parameters[_SCALE])
    if state[COUNT] >= FIRST_BAND:
        # What a value of few calls adds to the scatter is not the series' own.
        y = state[_MEDIAN] + (y - state[_MEDIAN]) / _widening(state, volume)
    learn_band(state, y, parameters[_SHARE], parameters[_NORMAL], floor, parameters[_NEWEST])
    state[BAND_VOLUME] += (volume - state[BAND_VOLUME]) / state[COUNT]


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    shift = to_scale(x, parameters[_SCALE]) - state[_MEDIAN]
    state[LOW] += shift
    state[_MEDIAN] += shift
    state[HIGH] += shift
    state[COUNT] = min(state[COUNT], _ADOPTED_SAMPLES)
    return state[COUNT] - FIRST_BAND


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return deviation_decades(raw_score * parameters[_NORMAL])


class PercentileBand(Detector, frozen=True, tag="percentile_band"):
    """How far a value lies beyond the series' own outer percentiles: no law is assumed, and each side has its own.

    The median and the percentiles `share` and 1 - `share` are tracked by stochastic approximation. On events it finds
    the single absurd call; on windows the band is as much wider for fewer calls as the scatter of their mean is.

    Raw score: distance from the median, where the percentile is at 1. State: 5 floats a series. Warm-up: at least 30
    samples, more for the outer percentiles to settle. Source: `udfs.stats.quantiles`.
    """

    share: Annotated[float, Meta(gt=0.5, lt=1)] = 0.99
    """The upper percentile as a share; the lower one is 1 - share."""
    half_life: Positive = 1_000.0
    """Observations after which one counts half."""
    warm_up_samples: Annotated[int, Meta(ge=30)] = 100
    scale: Literal["log", "linear"] = "log"
    """Whether distances are those of logarithms or of the values themselves."""
    floor: Annotated[float, Meta(gt=0, le=10)] = 0.05
    """Least deviation that is believed, as a share of the value: 0.05 is 5 per cent."""

    method: ClassVar[str] = "distance beyond the series' own percentiles"
    unit: ClassVar[str] = "percentile distances"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Count, median, lower and upper percentile, usual volume."""
        return BAND_WIDTH

    def parameters(self) -> Floats:
        """Scale, floor, weight of the newest observation, share, the share's quantile of the normal law."""
        scale = LOG if self.scale == "log" else LINEAR
        return np.array(
            [scale, self.floor, half_life_weight(self.half_life), self.share, NormalDist().inv_cdf(self.share)]
        )
