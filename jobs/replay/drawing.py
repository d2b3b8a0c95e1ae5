"""Everything about calls but their time and user: drawn as it would be, then changed as the planted faults demand.

Faults change calls after everything random is drawn, so that a plan leaves every other call as it was, bit for bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from jobs.replay.arrivals import F64, I64, MISSING, Arrivals
from jobs.replay.faults import ABSURD_TOKENS_SHARE, Fault, FaultKind, user_rank
from jobs.replay.latency import prefill_ms
from jobs.replay.world import Application, World

Booleans = npt.NDArray[np.bool_]

ERROR_TYPES = ("rate_limit", "server_error", "overloaded", "timeout")
"""`data.error_type` by error code; a call without an error has the code MISSING."""
TIMEOUT_CODE = 3
FIRST_TOKEN_DEADLINE_MS = 60_000.0
"""When a gateway gives up waiting for the first token: the latency of a timeout."""
_USUAL_ERRORS = np.cumsum([0.4, 0.3, 0.2, 0.1])
_OUTAGE_ERRORS = np.cumsum([0.0, 0.4, 0.1, 0.5])
_REFUSAL_MS, _REFUSAL_LOG_SD = 120.0, 0.6
_CUT_SHARE = 0.02
"""Share of answers that end at their maximal length."""


@dataclass(frozen=True, slots=True)
class Calls:
    """A block of calls of one application in the order of their end; all arrays have one element a call."""

    at_ms: I64
    """When the call ended, since the epoch: the event time."""
    model: I64
    """Position in `World.models`."""
    user: I64
    """Rank of the user."""
    prompt_tokens: I64
    completion_tokens: I64
    cached_tokens: I64
    """MISSING where the trace does not tell."""
    ttft_ms: F64
    latency_ms: F64
    cost_usd: F64
    error: I64
    """Position in ERROR_TYPES, or MISSING. A failed call has no tokens, cost and first token; the columns still hold
    what they would have been."""
    cut: Booleans
    """Whether the answer was cut at its maximal length."""
    identity: npt.NDArray[np.uint64]
    """Five random words a call: event id (2), trace id (2), span id (1)."""

    def where(self, kept: Booleans) -> "Calls":
        """Return the calls for which `kept` holds."""
        return Calls(**{f.name: getattr(self, f.name)[kept] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Replayed:
    """What, besides the world and the plan, fixes the calls."""

    seed: int
    start_at_ms: int
    duration_ms: int
    rate_factor: float = 1.0
    """Multiplies the rate of every application."""


class Drawing:
    """Draws the calls of one application, block by block, and plants the faults in them."""

    def __init__(
        self, world: World, position: int, replayed: Replayed, faults: Sequence[Fault], *, stream: int
    ) -> None:
        self.world = world
        self.replayed = replayed
        self.application: Application = world.applications[position]
        self.faults = [f for f in faults if f.scope.has_application(self.application)]
        self.pending = [f for f in self.faults if f.kind is FaultKind.ABSURD]
        # Ids also depend on the start: a replay repeated later tells of other calls.
        self.identities = np.random.default_rng([replayed.seed, position, 2, stream, replayed.start_at_ms])
        self.error_rates = np.array([model.error_rate for model in world.models])

    def drawn(self, generator: np.random.Generator, at_ms: I64, block: Arrivals, user: I64) -> Calls:
        """Return the next block of calls, at the given times, for the given tokens and ranks of users."""
        size = len(at_ms)
        chosen = np.searchsorted(np.cumsum(self.application.shares), generator.random(size), side="right")
        model = np.array(self.application.models)[np.minimum(chosen, len(self.application.models) - 1)]
        first_ms, between_ms = self._waits(generator, model)
        failing, kind = generator.random((2, size))
        refusal_ms = _REFUSAL_MS * np.exp(_REFUSAL_LOG_SD * generator.standard_normal(size))
        cut = generator.random(size) < _CUT_SHARE
        remains = generator.random(size)
        identity = self.identities.integers(0, 2**64, size=(size, 5), dtype=np.uint64)

        def hit(*kinds: FaultKind) -> Iterator[tuple[Fault, Booleans]]:
            for fault in self.faults:
                if fault.kind in kinds:
                    yield fault, self._hit(fault, at_ms, model, user)

        def factor(wanted: FaultKind) -> F64:
            times = np.ones(size)
            for fault, calls in hit(wanted):
                times[calls] *= fault.size
            return times

        more_tokens = factor(FaultKind.TOKENS)
        prompt = np.rint(block.prompt_tokens * more_tokens).astype(np.int64)
        completion = np.rint(block.completion_tokens * more_tokens).astype(np.int64)
        ttft_ms = (first_ms + prefill_ms(prompt, block.cached_tokens)) * factor(FaultKind.TTFT)
        latency_ms = (ttft_ms + between_ms * np.maximum(completion - 1, 0)) * factor(FaultKind.LATENCY)

        error = self._errors(model, failing, kind, [*hit(FaultKind.ERRORS, FaultKind.PROVIDER_OUTAGE)])
        for fault, call in self._absurd(at_ms, model, user, error):
            prompt[call] = np.rint(prompt[call] * fault.size * ABSURD_TOKENS_SHARE)
            completion[call] = np.rint(completion[call] * fault.size * ABSURD_TOKENS_SHARE)
            latency_ms[call] *= fault.size
        cost_usd = self._cost_usd(model, prompt, completion, block.cached_tokens) * factor(FaultKind.COST)
        timed_out = error == TIMEOUT_CODE
        latency_ms[error != MISSING] = refusal_ms[error != MISSING]
        latency_ms[timed_out] += FIRST_TOKEN_DEADLINE_MS

        result = Calls(
            at_ms=at_ms,
            model=model,
            user=user,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=block.cached_tokens,
            ttft_ms=ttft_ms,
            latency_ms=latency_ms,
            cost_usd=cost_usd,
            error=error,
            cut=cut,
            identity=identity,
        )
        kept = np.ones(size, dtype=np.bool_)
        for fault, silenced in hit(FaultKind.SILENCE):
            kept &= ~silenced | (remains < fault.size)
        return result if kept.all() else result.where(kept)

    def _waits(self, generator: np.random.Generator, model: I64) -> tuple[F64, F64]:
        first_ms, between_ms = np.empty(len(model)), np.empty(len(model))
        for i in self.application.models:
            # Every model draws for every call, so that what one call gets does not depend on the others' models.
            drawn = self.world.models[i].latency.drawn(generator, len(model))
            own = model == i
            first_ms[own], between_ms[own] = drawn[0][own], drawn[1][own]
        return first_ms, between_ms

    def _errors(self, model: I64, failing: F64, kind: F64, hit: list[tuple[Fault, Booleans]]) -> I64:
        rate = self.error_rates[model].copy()
        usual = np.ones(len(model), dtype=np.bool_)
        for fault, calls in hit:
            rate[calls] = np.maximum(rate[calls], fault.size)
            usual[calls] &= fault.kind is FaultKind.ERRORS
        code = np.where(usual, _code(kind, _USUAL_ERRORS), _code(kind, _OUTAGE_ERRORS))
        return np.where(failing < rate, code, MISSING)

    def _cost_usd(self, model: I64, prompt: I64, completion: I64, cached: I64) -> F64:
        cost_usd = np.empty(len(model))
        for i in self.application.models:
            own = model == i
            cost_usd[own] = self.world.models[i].price.cost_usd(prompt[own], completion[own], cached[own])
        return cost_usd

    def _hit(self, fault: Fault, at_ms: I64, model: I64, user: I64) -> Booleans:
        start_at_ms = self.replayed.start_at_ms
        hit = (at_ms >= start_at_ms + fault.after_ms) & (at_ms < start_at_ms + fault.until_ms)
        return hit & self._in_scope(fault, model, user)

    def _in_scope(self, fault: Fault, model: I64, user: I64) -> Booleans:
        models = [i for i in self.application.models if fault.scope.has_model(self.world.models[i])]
        within: Booleans = np.isin(model, models)
        if fault.scope.user_id:
            within &= user == user_rank(self.application, fault.scope.user_id)
        return within

    def _absurd(self, at_ms: I64, model: I64, user: I64, error: I64) -> Iterator[tuple[Fault, I64]]:
        for fault in tuple(self.pending):
            due = at_ms >= self.replayed.start_at_ms + fault.after_ms
            found = np.flatnonzero(due & (error == MISSING) & self._in_scope(fault, model, user))[:1]
            if len(found):
                self.pending.remove(fault)
                yield fault, found


def _code(uniform: F64, cumulated: F64) -> I64:
    return np.minimum(np.searchsorted(cumulated, uniform, side="right"), len(cumulated) - 1)
