"""The fault plan of the demonstration: every kind of fault once, each on traffic of its own, quiet in between."""

import numpy as np

from jobs.errors import SentinelError
from jobs.replay.calls import arrivals_of
from jobs.replay.events import span_of
from jobs.replay.faults import Fault, FaultKind, FaultPlan, Scope
from jobs.replay.world import World

SHORTEST_PLAN_MS = 10 * 60_000
"""Below ten minutes a fault would be over before there are enough calls to see it."""

_ORDER = (
    FaultKind.LATENCY,
    FaultKind.TTFT,
    FaultKind.TOKENS,
    FaultKind.COST,
    FaultKind.RUNAWAY_USER,
    FaultKind.ABSURD,
    FaultKind.ERRORS,
    FaultKind.SILENCE,
    # Last, because it touches many applications, whose baselines the others need undisturbed.
    FaultKind.PROVIDER_OUTAGE,
)
_WARM_UP_SHARE = 1.0 / 3.0
_CALLS_PER_MIN = 40.0
"""Calls that the emptiest minute of an application must have, so that a fault of a minute or two is not chance."""
_RUNAWAY_CALLS_PER_MIN = 1.0
"""Usual calls of the user who will run away: one of the many, not the busiest."""


def default_plan(
    world: World, *, seed: int, start_at_ms: int, duration_ms: int, rate_per_s: float | None = None
) -> FaultPlan:
    """Return a plan with every kind of fault; the arguments are those of `generate`.

    The first third is for warming up; then each fault has a slot of its own, of which it takes the middle half. Hit
    are the applications with the steadiest traffic, one each as long as there are enough of them: what the plan shows
    is whether faults are found, not how small ones may be. Raises SentinelError below ten minutes.
    """
    if duration_ms < SHORTEST_PLAN_MS:
        raise SentinelError(
            f"The default fault plan needs at least {SHORTEST_PLAN_MS // 60_000} minutes, but the replay lasts "
            f"{duration_ms / 60_000:g}: lengthen it, or give a plan of your own."
        )
    warm_up_s = int(duration_ms * _WARM_UP_SHARE / 1000)
    slot_s = (duration_ms // 1000 - warm_up_s) // len(_ORDER)
    steadiest = _steadiest(world, seed=seed, start_at_ms=start_at_ms, duration_ms=duration_ms, rate_per_s=rate_per_s)
    factor = 1.0 if rate_per_s is None else rate_per_s / world.rate_per_s
    faults = []
    for place, kind in enumerate(_ORDER):
        scope = _scope(world, steadiest[place % len(steadiest)], kind, factor)
        faults.append(
            Fault(
                kind=kind,
                scope=scope,
                after=f"{warm_up_s + place * slot_s + slot_s // 4}s",
                lasts="0s" if kind is FaultKind.ABSURD else f"{slot_s // 2}s",
            )
        )
    return FaultPlan(faults=tuple(faults))


def _steadiest(world: World, *, seed: int, start_at_ms: int, duration_ms: int, rate_per_s: float | None) -> list[int]:
    """Return the applications by how far the mean logarithm of their answers' tokens wanders from minute to minute.

    Those whose emptiest minute has too few calls come last, the emptiest at the end.
    """
    span = span_of(world, seed=seed, start_at_ms=start_at_ms, duration_ms=duration_ms, rate_per_s=rate_per_s)
    minutes = -(-duration_ms // 60_000)
    places = []
    for position in range(len(world.applications)):
        calls, tokens = np.zeros(minutes), np.zeros(minutes)
        for at_ms, block in arrivals_of(world, position, span):
            minute = (at_ms - start_at_ms) // 60_000
            within = at_ms < start_at_ms + duration_ms
            calls += np.bincount(minute[within], minlength=minutes)
            tokens += np.bincount(minute[within], np.log1p(block.completion_tokens[within]), minlength=minutes)
        emptiest = float(calls[: duration_ms // 60_000].min())
        wandering = float(np.std(tokens / np.maximum(calls, 1.0)))
        places.append((0, wandering) if emptiest >= _CALLS_PER_MIN else (1, -emptiest))
    return sorted(range(len(places)), key=places.__getitem__)


def _scope(world: World, position: int, kind: FaultKind, factor: float) -> Scope:
    application = world.applications[position]
    model = world.models[application.models[0]]
    if kind is FaultKind.PROVIDER_OUTAGE:
        return Scope(provider=model.provider)
    tenant, name = application.tenant_id, application.application_id
    if kind is FaultKind.SILENCE:
        return Scope(tenant_id=tenant, application_id=name)
    if kind is FaultKind.RUNAWAY_USER:
        calls_per_min = application.rate_per_s * factor * 60.0 * world.user_shares(application)
        rank = int(np.argmin(np.abs(np.log(calls_per_min / _RUNAWAY_CALLS_PER_MIN))))
        return Scope(tenant_id=tenant, application_id=name, user_id=application.user_id(rank))
    return Scope(tenant_id=tenant, application_id=name, provider=model.provider, model=model.name)
