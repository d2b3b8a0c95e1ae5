import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from schemas.anomaly import DetectorType
from udfs.detector import Detector, Kernels, Positive, resolutions
from udfs.kernels import Floats, kernel

_TYPICAL, _TYPICAL_CALLS, _FAST_MS, _RISE_MS, _FADE_MS = range(5)
_RATE, _AT_MS, _RECORD, _CALLS = range(4)

_DECADES_PER_DOUBLING = 3.0


@kernel
def _elapsed(state: Floats, at_ms: int) -> float:
    return max(at_ms - state[_AT_MS], 0.0) if state[_AT_MS] > 0.0 else 0.0


@kernel
def _rate(state: Floats, x: float, at_ms: int, parameters: Floats) -> float:
    """Return the rate per second with one more call that adds x."""
    fast_ms = parameters[_FAST_MS]
    return state[_RATE] * math.exp(-_elapsed(state, at_ms) / fast_ms) + max(x, 0.0) * (1_000.0 / fast_ms)


@kernel
def _reference(state: Floats, parameters: Floats) -> float:
    """Return the rate to compare with: the user's own highest, or a typical one while little is known of the user."""
    unknown = parameters[_TYPICAL_CALLS] / (parameters[_TYPICAL_CALLS] + state[_CALLS])
    return max(state[_RECORD], parameters[_TYPICAL] * unknown)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    return _rate(state, x, at_ms, parameters) / _reference(state, parameters)


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    reference = _reference(state, parameters)
    return reference, 0.0, reach * reference


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    rate, elapsed = _rate(state, x, at_ms, parameters), _elapsed(state, at_ms)
    if weight > 0.0:
        # The record follows a rise slowly, or a runaway would vouch for itself; and fades more slowly still.
        towards = parameters[_RISE_MS] if rate > state[_RECORD] else parameters[_FADE_MS]
        state[_RECORD] += (1.0 - math.exp(-elapsed / towards)) * (rate - state[_RECORD])
        state[_CALLS] += 1.0
    state[_RATE] = rate
    state[_AT_MS] = max(state[_AT_MS], float(at_ms))


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    state[_RATE] = _rate(state, x, at_ms, parameters)
    state[_RECORD] = state[_RATE]
    state[_AT_MS] = max(state[_AT_MS], float(at_ms))
    return state[_CALLS]


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return _DECADES_PER_DOUBLING * math.log2(max(raw_score, 1.0))


class RunawayUser(Detector, frozen=True, tag="runaway_user"):
    """A user whose rate of calls, tokens or cost is a multiple of the highest this user ever kept up.

    The rate is a sum that fades within `fast_ms`; the record follows it within `rise_ms` and fades within `fade_ms`.
    A user of whom little is known is compared with a typical one, whose part shrinks as calls are seen. So a burst is
    no runaway, nor is a busy user; a script that got loose is, within a minute.

    The metric is `calls_per_s`, `tokens_per_s` or `cost_usd_per_s`, and its value what one call adds: 1, its tokens,
    its cost. Raw score: multiples of the reference. State: 4 floats a user. Warm-up: `warm_up_samples` and
    `warm_up_ms`. Scores are calibrated by convention, three decades for each doubling: users follow no law.
    """

    entity: Literal["model", "user", "application", "tenant_provider", "provider"] = "user"
    metrics: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1)] = ("calls_per_s",)
    direction: Literal["high", "low", "both"] = "high"
    typical: Positive = 0.5
    """What a busy user of the application does in a second, in the metric's unit."""
    typical_calls: Positive = 50.0
    """Calls after which a user's own past counts as much as the typical one."""
    fast_ms: Positive = 60_000.0
    """Time over which the rate is summed up."""
    rise_ms: Positive = 900_000.0
    """Time within which the record follows a rise."""
    fade_ms: Positive = 86_400_000.0
    """Time within which the record fades."""

    detector_type: ClassVar[DetectorType] = DetectorType.BEHAVIORAL
    method: ClassVar[str] = "rate against the user's own record"
    unit: ClassVar[str] = "multiples"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Rate, time of the last call, record, calls."""
        return 4

    def parameters(self) -> Floats:
        """Typical rate in units of the metric's resolution, calls it is worth, and the three times."""
        typical = self.typical / float(resolutions(self.metrics)[0])
        return np.array([typical, self.typical_calls, self.fast_ms, self.rise_ms, self.fade_ms])
