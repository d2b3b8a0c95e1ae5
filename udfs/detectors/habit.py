import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from schemas.anomaly import DetectorType
from udfs.calibration import nats_decades
from udfs.detector import Detector, Kernels, Positive
from udfs.kernels import Floats, kernel

_FADE_MS, _KNOWN_CALLS, _RARE_SHARE, _LEAST_SHARE, _TESTED_SHARE, _SUSPICIOUS, _LARGEST, _YOUNG_CALLS, _YOUNG_MS = (
    range(9)
)
_EVIDENCE, _BORN_AT_MS, _FADED_AT_MS, _CALLS, _FIRST = range(5)
_FADES = 1e-3
"""Counts fade in steps of this part of the time within which they do: not at every call, as all of them do."""
KINDS = 48
"""Kinds of calls that are told apart. See `kind_of` and `value_of`."""


@kernel
def kind_of(x: float) -> int:
    """Return the kind of a value: values within a factor of the root of two are alike, up to 2**24."""
    return min(max(int(2.0 * math.log2(1.0 + max(x, 0.0))), 0), KINDS - 1)


def value_of(kind: int) -> float:
    """Return the value that stands for a kind, where a metric is not a quantity but one of several names."""
    return float(2.0 ** ((kind % KINDS + 0.5) / 2.0) - 1.0)


@kernel
def _is_known(state: Floats, kind: int, parameters: Floats) -> bool:
    count = state[_FIRST + kind]
    return count >= parameters[_KNOWN_CALLS] or count >= parameters[_RARE_SHARE] * state[_CALLS]


@kernel
def _evidence(state: Floats, x: float, parameters: Floats) -> float:
    """Return the evidence for a new habit with one more call."""
    kind, tested = kind_of(x), parameters[_TESTED_SHARE]
    if _is_known(state, kind, parameters):
        step = math.log(1.0 - tested)
    else:
        share = state[_FIRST + kind] / max(state[_CALLS], 1.0)
        step = math.log(tested / max(share, parameters[_LEAST_SHARE]))
    return max(state[_EVIDENCE] + step, 0.0)


@kernel
def _score(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    return _evidence(state, x, parameters)


@kernel
def _expect(state: Floats, volume: float, at_ms: int, parameters: Floats, reach: float) -> tuple[float, float, float]:
    """Return the most common kind, and the lowest and highest that are known."""
    most, low, high = 0, KINDS - 1, 0
    for kind in range(KINDS):
        count = state[_FIRST + kind]
        if count > state[_FIRST + most]:
            most = kind
        if count >= parameters[_KNOWN_CALLS]:
            low, high = min(low, kind), max(high, kind)
    low, high = min(low, most), max(high, most)
    return 2.0 ** ((most + 0.5) / 2.0) - 1.0, 2.0 ** (low / 2.0) - 1.0, 2.0 ** ((high + 1) / 2.0) - 1.0


@kernel
def _learn(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    kind = kind_of(x)
    if state[_BORN_AT_MS] <= 0.0:
        state[_BORN_AT_MS] = float(at_ms)
    # Of a series that is warming up everything is new.
    if state[_CALLS] >= parameters[_YOUNG_CALLS] and at_ms - state[_BORN_AT_MS] >= parameters[_YOUNG_MS]:
        state[_EVIDENCE] = min(_evidence(state, x, parameters), parameters[_LARGEST])
    # What is under suspicion is not learnt: it would be known before the evidence is enough.
    if weight <= 0.0 or (state[_EVIDENCE] > parameters[_SUSPICIOUS] and not _is_known(state, kind, parameters)):
        return
    elapsed = at_ms - state[_FADED_AT_MS]
    if state[_FADED_AT_MS] <= 0.0:
        state[_FADED_AT_MS] = float(at_ms)
    elif elapsed > _FADES * parameters[_FADE_MS]:
        kept = math.exp(-elapsed / parameters[_FADE_MS])
        for place in range(_CALLS, _FIRST + KINDS):
            state[place] *= kept
        state[_FADED_AT_MS] = float(at_ms)
    state[_FIRST + kind] += 1.0
    state[_CALLS] += 1.0


@kernel
def _adopt(state: Floats, x: float, volume: float, at_ms: int, parameters: Floats) -> float:
    place = _FIRST + kind_of(x)
    more = max(parameters[_KNOWN_CALLS] - state[place], 0.0)
    state[place] += more
    state[_CALLS] += more
    state[_EVIDENCE] = 0.0
    return state[_CALLS]


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return nats_decades(raw_score)


class Habit(Detector, frozen=True, tag="habit"):
    """What an application or a user usually does: which models it calls, and at which hours of the day (UTC).

    The metric has kinds: the models, or the hours. A kind is known after `known_calls`, or when it makes up
    `rare_share` of the calls; all counts fade within `fade_ms`. A sum of log likelihood ratios tests whether kinds that
    are not known now make up `tested_share` of the calls; it restarts at zero whenever the evidence is for the usual,
    so that a few odd calls, or a slow move to something new, are nothing. For quantities, as a user's tokens, the other
    types serve better: rare ones are many.

    Raw score: nats of evidence. State: 52 floats a series. Warm-up: `warm_up_samples` and `warm_up_ms`; hours need
    some days. Models are told apart by one of 48 codes: a new one is overlooked if it has the code of a known one.
    Source: Page 1954, Continuous inspection schemes.
    """

    metrics: Annotated[tuple[str, ...], Meta(min_length=1)] = ("model",)
    direction: Literal["high", "low", "both"] = "high"
    fade_ms: Positive = 14 * 86_400_000.0
    """Time within which counts fade."""
    known_calls: Positive = 30.0
    """Calls after which a kind is known."""
    rare_share: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    """The share of calls from which on a kind is known."""
    least_share: Annotated[float, Meta(gt=0, lt=1)] = 0.001
    """The share that a kind never seen is taken to have."""
    tested_share: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    """The share of calls that a new habit is tested as."""

    detector_type: ClassVar[DetectorType] = DetectorType.BEHAVIORAL
    method: ClassVar[str] = "sequential likelihood ratio of kinds of calls that are not known"
    unit: ClassVar[str] = "nats"
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise, _expect)

    @property
    def state_width(self) -> int:
        """Evidence, when it began, when counts faded last, calls, calls of each kind."""
        return _FIRST + KINDS

    def parameters(self) -> Floats:
        """Fading, what makes a kind known, least and tested share, where suspicion begins and the sum ends, warm-up."""
        return np.array(
            [
                self.fade_ms,
                self.known_calls,
                self.rare_share,
                self.least_share,
                self.tested_share,
                0.25 * self.warning,
                1.25 * (self.critical or self.warning),
                self.warm_up_samples,
                self.warm_up_ms,
            ]
        )
