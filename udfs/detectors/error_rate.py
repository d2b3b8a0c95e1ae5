from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from udfs.detector import Detector, Kernels, Positive, half_life_weight
from udfs.kernels import Floats, kernel
from udfs.stats.binomial import least_failures, tail_decades

_NEWEST, _PRIOR_RATE, _PRIOR_CALLS, _LEAST_RATE = range(4)
_WINDOWS, _FAILURES, _CALLS, _SCATTER, _PAIRS = range(5)

_LARGEST_CLUSTERING = 0.5
# A window moves the measure of clustering no further than one of three deviations does.
_HUBER_REACH = 3.0
_ADOPTED_WINDOWS = 3.0


@kernel
def _rate(state: Floats, parameters: Floats) -> float:
    """Return the expected rate: the recent past's, drawn towards the prior while that is short."""
    prior = parameters[_PRIOR_CALLS]
    windows = max(state[_WINDOWS], 1.0)
    calls, failures = state[_CALLS] * windows, state[_FAILURES] * windows
    return (failures + parameters[_PRIOR_RATE] * prior) / (calls + prior)


@kernel
def _strength(state: Floats, parameters: Floats) -> float:
    """Return how many calls the rate rests on; fewer, if the rates of windows differ by more than chance."""
    calls = state[_CALLS] * max(state[_WINDOWS], 1.0) + parameters[_PRIOR_CALLS]
    if state[_PAIRS] <= 0.0:
        return calls
    clustering = min(max(state[_SCATTER] / state[_PAIRS], 0.0), _LARGEST_CLUSTERING)
    return calls if clustering == 0.0 else min(calls, 1.0 / clustering - 1.0)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    if x < parameters[_LEAST_RATE]:
        return 0.0
    failures = min(max(np.round(x * volume), 0.0), volume)
    return tail_decades(failures, volume, _rate(state, parameters), _strength(state, parameters))


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    rate = _rate(state, parameters)
    fewest = least_failures(reach, max(np.round(volume), 1.0), rate, _strength(state, parameters))
    return rate, 0.0, max(min(fewest / max(volume, 1.0), 1.0), parameters[_LEAST_RATE])


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    if weight == 0.0:
        return
    rate = _rate(state, parameters)
    share = min(max(x, 0.0), 1.0)
    state[_WINDOWS] = min(state[_WINDOWS] + 1.0, 1.0 / parameters[_NEWEST])
    step = 1.0 / state[_WINDOWS]
    # Variance of the count is n r (1 - r) (1 + (n - 1) clustering): what exceeds chance, for each pair of calls.
    variance = rate * (1.0 - rate)
    difference = min(max(share - rate, -1.0), 1.0) * volume
    square = min(difference * difference / variance, _HUBER_REACH * _HUBER_REACH * max(volume, 1.0 / variance))
    state[_SCATTER] += step * (square - volume - state[_SCATTER])
    state[_PAIRS] += step * (volume * (volume - 1.0) - state[_PAIRS])
    state[_FAILURES] += step * (share * volume - state[_FAILURES])
    state[_CALLS] += step * (volume - state[_CALLS])


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    share = min(max(x, 0.0), 1.0)
    state[_FAILURES] = share * volume
    state[_CALLS] = volume
    state[_WINDOWS] = min(state[_WINDOWS], _ADOPTED_WINDOWS)
    return state[_WINDOWS]


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return raw_score


class ErrorRate(Detector, frozen=True, tag="error_rate"):
    """How improbable the failures of a window are: counts are judged, since one failure of two calls is no outage.

    The count is taken to be beta-binomial around the series' own rate, which is drawn towards a prior while little is
    known. Its law is as wide as that rate is uncertain, or as windows are found to differ by more than chance allows
    (failures that come in clusters), whichever is wider.

    Raw score: decades, minus the decimal logarithm of the probability of so many failures or more; above
    `rate_least` only. State: 5 floats a series. Warm-up: `warm_up_samples` and `warm_up_ms`. Sources: Skellam 1948, A
    probability distribution derived from the binomial distribution; Kleinman 1973, Proportions with extraneous
    variance.
    """

    metrics: tuple[str, ...] = ("error_rate",)
    direction: Literal["high", "low", "both"] = "high"
    half_life: Positive = 360.0
    """Windows after which one counts half."""
    prior_rate: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    """The share of failed calls assumed of a series that nothing is known of."""
    prior_calls: Positive = 100.0
    """The calls that this assumption is worth."""
    rate_least: Annotated[float, Meta(ge=0, lt=1)] = 0.03
    """Share of failed calls below which nobody is told."""

    method: ClassVar[str] = "tail of the beta-binomial law of failures"
    unit: ClassVar[str] = "decades of probability"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Windows; mean failures and calls of a window; mean excess scatter and pairs of calls of a window."""
        return 5

    def parameters(self) -> Floats:
        """Weight of the newest window, prior rate and calls, least rate."""
        return np.array([half_life_weight(self.half_life), self.prior_rate, self.prior_calls, self.rate_least])
