"""Evidence: whether an anomaly speaks of a planted fault, by time, by whom it is about, and by what was measured."""

from jobs.replay.faults import Scope
from jobs.replay.truth import PlantedFault
from schemas.anomaly import Anomaly, Entity
from schemas.time import to_at_ms
from udfs.aggregates import COMBINATION

GRACE_MS = 120_000
"""How long after a fault its consequences may still be told of: the longest window, and its successor, hold calls of
both sides, and averages take a while to come back."""


def is_consequence(fault: PlantedFault, anomaly: Anomaly) -> bool:
    """Return whether an anomaly is explained by a fault: it falls into its time, and touches whom it hit.

    The time is that of the evidence (the whole window) against [start, end + grace). Metrics do not count here: a fault
    moves more than it moves directly.
    """
    at_ms = to_at_ms(anomaly.timestamp)
    since = anomaly.context.window_start
    since_ms = to_at_ms(since) if since else at_ms
    in_time = at_ms >= fault.start_at_ms and since_ms < fault.end_at_ms + GRACE_MS
    return in_time and is_touched(fault.scope, anomaly.affected_entity)


def is_sign(fault: PlantedFault, anomaly: Anomaly) -> bool:
    """Return whether an anomaly shows a fault: a consequence, in a metric that the fault moves directly.

    A combination of metrics shows what it rests on most.
    """
    if not is_consequence(fault, anomaly):
        return False
    metric = anomaly.metric
    if metric == COMBINATION and anomaly.contributors:
        metric = max(anomaly.contributors, key=anomaly.contributors.__getitem__)
    return any(metric.startswith(moved) or moved.startswith(f"{metric}_") for moved in fault.metrics)


def is_touched(scope: Scope, entity: Entity) -> bool:
    """Return whether a scope and an entity have calls in common, as far as their parts tell.

    Every part that both name must be the same, and one of them must be narrower than a tenant: a fault of one
    application explains the summary of its provider, but not that of another one.
    """
    parts = (
        (scope.application_id, entity.application_id),
        (scope.provider, entity.provider),
        (scope.model, entity.model),
        (scope.user_id, entity.user_id),
    )
    both = [(left, right) for left, right in parts if left and right]
    is_other_tenant = bool(scope.tenant_id and entity.tenant_id and scope.tenant_id != entity.tenant_id)
    return not is_other_tenant and bool(both) and all(left == right for left, right in both)
