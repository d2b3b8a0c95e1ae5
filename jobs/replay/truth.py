"""The written truth about planted faults: what was done to whom, when, and what a detector should make of it."""

import numpy as np
from msgspec import Struct

from jobs.replay.calls import calls_of
from jobs.replay.drawing import Replayed
from jobs.replay.events import event_id, span_of
from jobs.replay.faults import EXPECTED_SEVERITY, TOUCHED_METRICS, Fault, FaultKind, FaultPlan, Scope, check_plan
from jobs.replay.world import World
from schemas.anomaly import Severity


class PlantedFault(Struct, frozen=True, kw_only=True):
    """Ground truth about one fault: a line of the truth file."""

    fault_id: str
    kind: FaultKind
    scope: Scope
    start_at_ms: int
    end_at_ms: int
    """Half open; for `absurd` the millisecond after its call, and equal to the start if no call was hit."""
    magnitude: float
    severity: Severity
    metrics: tuple[str, ...]
    """Metrics the fault moves directly."""
    calls_per_min: float
    """Usual mean calls a minute in the scope: below about 20 a fault of minutes cannot be told from chance."""
    event_ids: tuple[str, ...] = ()
    """The single event of an `absurd` fault."""


def ground_truth(
    world: World,
    plan: FaultPlan,
    *,
    seed: int,
    start_at_ms: int,
    duration_ms: int,
    rate_per_s: float | None = None,
) -> tuple[PlantedFault, ...]:
    """Return the truth about the faults that begin within the duration; the arguments are those of `generate`."""
    check_plan(plan, world)
    span = span_of(world, seed=seed, start_at_ms=start_at_ms, duration_ms=duration_ms, rate_per_s=rate_per_s)
    truth = []
    for number, fault in enumerate(plan.faults, start=1):
        if fault.after_ms >= duration_ms:
            continue
        start, end = start_at_ms + fault.after_ms, start_at_ms + min(fault.until_ms, duration_ms)
        event_ids: tuple[str, ...] = ()
        if fault.kind is FaultKind.ABSURD:
            hit = _absurd_events(world, plan, span, fault)
            start, end, event_ids = (
                min(hit.values(), default=start),
                max(hit.values(), default=start - 1) + 1,
                tuple(hit),
            )
        truth.append(
            PlantedFault(
                fault_id=f"{number:03d}-{fault.kind}",
                kind=fault.kind,
                scope=fault.scope,
                start_at_ms=start,
                end_at_ms=end,
                magnitude=fault.size,
                severity=fault.severity or EXPECTED_SEVERITY[fault.kind],
                metrics=TOUCHED_METRICS[fault.kind],
                calls_per_min=round(usual_calls_per_min(world, fault.scope) * span.rate_factor, 3),
                event_ids=event_ids,
            )
        )
    return tuple(truth)


def usual_calls_per_min(world: World, scope: Scope) -> float:
    """Return the mean calls a minute that agree with a scope when all is well."""
    total = 0.0
    for application in world.applications:
        if not scope.has_application(application):
            continue
        shares = zip(application.models, application.shares, strict=True)
        share = sum(part for i, part in shares if scope.has_model(world.models[i]))
        if scope.user_id:
            ids = [application.user_id(rank) for rank in range(application.users)]
            by_rank = world.user_shares(application)
            share *= float(by_rank[ids.index(scope.user_id)]) if scope.user_id in ids else 0.0
        total += application.rate_per_s * 60.0 * share
    return total


def _absurd_events(world: World, plan: FaultPlan, span: Replayed, fault: Fault) -> dict[str, int]:
    """Return the time of every call that a fault made absurd, by event id: one per application in its scope."""
    others = [other for other in plan.faults if other is not fault]
    found = {}
    for position, application in enumerate(world.applications):
        if not fault.scope.has_application(application):
            continue
        hit, usual = calls_of(world, position, span, plan.faults), calls_of(world, position, span, others)
        for changed, unchanged in zip(hit, usual, strict=True):
            differing = np.flatnonzero(changed.latency_ms != unchanged.latency_ms)
            if len(differing):
                high, low = changed.identity[differing[0], :2].tolist()
                found[event_id(high, low)] = int(changed.at_ms[differing[0]])
                break
    return found
