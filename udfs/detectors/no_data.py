import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import nats_decades
from udfs.detector import Detector, Kernels, Positive
from udfs.kernels import Floats, kernel

_MEMORY_MS, _FADE_MS, _MARGIN, _LEAST_MS = range(4)
_RATE, _SINCE_MS, _LONGEST_MS = range(3)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    if x < parameters[_LEAST_MS] or x < parameters[_MARGIN] * state[_LONGEST_MS]:
        return 0.0
    return x * state[_RATE]


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    return state[_RATE] * 1_000.0, 0.0, math.inf


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    if x <= 0.0:
        # The first window, or a second one with the same end.
        state[_RATE] += volume / parameters[_MEMORY_MS]
        return
    # As the mean of the first minutes, then of the last ones.
    state[_SINCE_MS] = min(state[_SINCE_MS] + x, parameters[_MEMORY_MS])
    share = 1.0 - math.exp(-x / state[_SINCE_MS])
    state[_RATE] += share * (volume / x - state[_RATE])
    if x > state[_LONGEST_MS]:
        state[_LONGEST_MS] = x
    else:
        state[_LONGEST_MS] -= (1.0 - math.exp(-x / parameters[_FADE_MS])) * (state[_LONGEST_MS] - x)


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    return 0.0


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return nats_decades(raw_score)


class NoData(Detector, frozen=True, tag="no_data"):
    """Silence of a series that used to speak: by how many calls are missing, and by its longest silence so far.

    A silence is anomalous when it is longer than `least_ms`, than `margin` times the longest one of the recent past,
    and long enough that `warning` calls would have come at the recent rate. It is told once, once more if it becomes
    critical, and ends when the series speaks.

    Raw score: calls that are missing; by a Poisson law also nats of evidence. State: 3 floats a series. Warm-up:
    `warm_up_samples` windows that held calls, and `warm_up_ms`.
    """

    metrics: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1)] = ("calls_per_s",)
    direction: Literal["high", "low", "both"] = "low"
    memory_ms: Positive = 600_000.0
    """Time over which the rate is averaged."""
    fade_ms: Positive = 604_800_000.0
    """Time in which the longest silence is forgotten."""
    margin: Annotated[float, Meta(ge=1)] = 3.0
    """Multiple of the longest silence so far that a silence must exceed."""
    least_ms: Positive = 60_000.0
    """Shortest silence that is told."""

    form: ClassVar[Literal["series", "vector", "silence"]] = "silence"
    method: ClassVar[str] = "silence against the series' own rhythm"
    unit: ClassVar[str] = "missing calls"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Rate per ms, time it was averaged over, longest silence."""
        return 3

    def parameters(self) -> Floats:
        """The times and the margin."""
        return np.array([self.memory_ms, self.fade_ms, self.margin, self.least_ms])
