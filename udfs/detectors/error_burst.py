import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.calibration import nats_decades
from udfs.detector import Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel

_NEWEST, _PRIOR_RATE, _PRIOR_CALLS, _RISE, _LEAST_RISEN, _OUTAGE, _RISE_LARGEST, _OUTAGE_LARGEST = range(8)
_CALLS, _FAILURES, _GAP_MS, _AT_MS, _RISE_SUM, _OUTAGE_SUM = range(6)

# Calls a second that the threshold is meant for; see `_score`.
_USUAL_PER_MS = 0.5 / 1_000.0
_LARGEST_RATE = 0.9
_ADOPTED_CALLS = 20.0


@kernel
def _rate(state: Floats, parameters: Floats) -> float:
    """Return the rate to assume of a healthy series: its own and one standard error more, never below the prior."""
    calls = state[_CALLS] + parameters[_PRIOR_CALLS]
    rate = (state[_FAILURES] + parameters[_PRIOR_RATE] * parameters[_PRIOR_CALLS]) / calls
    return min(max(rate + math.sqrt(rate * (1.0 - rate) / calls), parameters[_PRIOR_RATE]), _LARGEST_RATE)


@kernel
def _risen(rate: float, parameters: Floats) -> float:
    """Return the rate that a rise is tested as."""
    return min(max(rate * parameters[_RISE], parameters[_LEAST_RISEN]), 0.5 * (1.0 + rate))


@kernel
def _outage(rate: float, parameters: Floats) -> float:
    """Return the rate that an outage is tested as."""
    return max(parameters[_OUTAGE], 0.5 * (1.0 + rate))


@kernel
def _evidence(failed: bool, rate: float, alternative: float) -> float:  # noqa: FBT001
    """Return the logarithm of how much likelier one call is under the alternative."""
    return math.log(alternative / rate) if failed else math.log((1.0 - alternative) / (1.0 - rate))


@kernel
def _sums(state: Floats, x: float, parameters: Floats) -> tuple[float, float]:
    rate = _rate(state, parameters)
    failed = x > 0.0
    rise = state[_RISE_SUM] + _evidence(failed, rate, _risen(rate, parameters))
    outage = state[_OUTAGE_SUM] + _evidence(failed, rate, _outage(rate, parameters))
    return max(rise, 0.0), max(outage, 0.0)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    rise, outage = _sums(state, x, parameters)
    # A busy series tries its luck more often: the logarithm of how much more often is deducted.
    busy = 1.0 / (max(state[_GAP_MS], 1e-3) * _USUAL_PER_MS)
    return max(max(rise, outage) - math.log(max(busy, 1.0)), 0.0)


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    rate = _rate(state, parameters)
    return rate, 0.0, _risen(rate, parameters)


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    rise, outage = _sums(state, x, parameters)
    state[_RISE_SUM] = min(rise, parameters[_RISE_LARGEST])
    state[_OUTAGE_SUM] = min(outage, parameters[_OUTAGE_LARGEST])
    newest = parameters[_NEWEST]
    if state[_AT_MS] > 0.0:
        gap = max(at_ms - state[_AT_MS], 0.0)
        # As for a mean of the first values, then of the last ones.
        state[_GAP_MS] += max(newest, 1.0 / (state[_CALLS] + 1.0)) * (gap - state[_GAP_MS])
    state[_AT_MS] = max(state[_AT_MS], float(at_ms))
    if weight > 0.0:
        state[_CALLS] += 1.0 - newest * state[_CALLS]
        state[_FAILURES] += (1.0 if x > 0.0 else 0.0) - newest * state[_FAILURES]


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    rate = _rate(state, parameters)
    state[_CALLS] = min(state[_CALLS], _ADOPTED_CALLS)
    # Between the old level and the one that was tested for; the next calls decide.
    state[_FAILURES] = state[_CALLS] * _risen(rate, parameters)
    state[_RISE_SUM] = state[_OUTAGE_SUM] = 0.0
    return state[_CALLS]


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return nats_decades(raw_score)


class ErrorBurst(Detector, frozen=True, tag="error_burst"):
    """Sequential test of each call's outcome against the series' own rate of failure: finds outages within seconds.

    Two cumulative sums of log likelihood ratios, one for a rise (`rise` times the usual rate, at least `risen_least`),
    one for an outage (`outage`), restart at zero whenever the evidence is for the usual rate. The usual rate is the
    series' own, one standard error added, and never below `prior_rate`. Both sums end where the detector's thresholds
    are passed, so that recovery is noticed; only the outage's can become critical. 1 is a failed call, 0 another.

    Raw score: nats of evidence, less the logarithm of the series' calls in two seconds, so that busy series raise no
    more false alarms. State: 6 floats a series. Warm-up: `warm_up_samples` and `warm_up_ms`. Sources: Wald 1945,
    Sequential tests of statistical hypotheses; Page 1954; Reynolds and Stoumbos 1999, A CUSUM chart for monitoring a
    proportion when inspecting continuously.
    """

    metrics: tuple[str, ...] = ("error",)
    direction: Literal["high", "low", "both"] = "high"
    half_life: Positive = 5_000.0
    """Calls after which one counts half."""
    prior_rate: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    """The share of failed calls assumed of a series that nothing is known of."""
    prior_calls: Positive = 100.0
    """The calls that this assumption is worth."""
    rise: Annotated[float, Meta(gt=1)] = 5.0
    """The rise that is tested for, in multiples of the usual rate."""
    risen_least: Annotated[float, Meta(gt=0, lt=1)] = 0.08
    """The least share of failed calls that is tested for as a rise."""
    outage: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    """The share of failed calls that is tested for as an outage."""

    method: ClassVar[str] = "sequential likelihood ratio of failed calls"
    unit: ClassVar[str] = "nats"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Calls, failures, mean gap and time of the last call, the two sums."""
        return 6

    def parameters(self) -> Floats:
        """Weight of the newest call, prior rate and calls, the alternatives, where the sums end."""
        return np.array(
            [
                half_life_weight(self.half_life),
                self.prior_rate,
                self.prior_calls,
                self.rise,
                self.risen_least,
                self.outage,
                1.25 * self.warning,
                1.25 * (self.critical or self.warning),
            ]
        )
