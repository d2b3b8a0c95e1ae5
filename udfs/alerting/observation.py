"""Observation: what alert definitions look at, an anomaly or a summary reduced to fields, a value and a time."""

from typing import Final

from msgspec import Struct

from schemas.anomaly import Anomaly, Entity, EntityType, Severity
from schemas.summary import Summary
from schemas.time import to_at_ms

ANOMALY_FIELDS: Final = (
    "tenant_id",
    "application_id",
    "provider",
    "model",
    "user_id",
    "entity",
    "entity_type",
    "detector_id",
    "detector_type",
    "metric",
    "severity",
    "title",
    "description",
    "explanation",
)
"""Text fields of an anomaly, for `grouping` and for the patterns of definitions; none holds a prompt or an answer."""
SUMMARY_FIELDS: Final = ("tenant_id", "application_id", "provider", "model", "entity", "metric")
"""Text fields of a summary, for `grouping`."""


class Observation(Struct, frozen=True, kw_only=True):
    """One anomaly or summary."""

    at_ms: int
    """When it was, by its own time: of a window, its end."""
    fields: dict[str, str]
    """By the names above; what does not apply is empty or missing."""
    value: float
    """Score of an anomaly, value of a summary."""
    severity: Severity | None = None
    """Of an anomaly."""
    window: str = ""
    """Of a summary: length of its window, `10s` or `1m`."""


def of_anomaly(anomaly: Anomaly) -> Observation:
    """Return what definitions see of an anomaly."""
    fields = _entity_fields(anomaly.affected_entity) | {
        "tenant_id": anomaly.tenant_id or "",
        "application_id": anomaly.application_id or anomaly.affected_entity.application_id,
        "detector_id": anomaly.detector_id,
        "detector_type": anomaly.detector_type.value,
        "metric": anomaly.metric,
        "severity": anomaly.severity.value,
        "title": anomaly.title,
        "description": anomaly.description,
        "explanation": anomaly.explanation,
    }
    return Observation(at_ms=to_at_ms(anomaly.timestamp), fields=fields, value=anomaly.score, severity=anomaly.severity)


def of_summary(summary: Summary) -> Observation | None:
    """Return what definitions see of a summary: those of models alone, so that sums count each call once."""
    if summary.entity.type is not EntityType.MODEL:
        return None
    fields = _entity_fields(summary.entity) | {"metric": summary.metric_name}
    return Observation(
        at_ms=to_at_ms(summary.window_end), fields=fields, value=summary.value, window=summary.window_duration
    )


def _entity_fields(entity: Entity) -> dict[str, str]:
    return {
        "tenant_id": entity.tenant_id,
        "application_id": entity.application_id,
        "provider": entity.provider,
        "model": entity.model,
        "user_id": entity.user_id,
        "entity": entity.id,
        "entity_type": entity.type.value,
    }
