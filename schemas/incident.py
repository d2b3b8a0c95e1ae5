"""Incident: correlated anomalies of related entities, with a start and an end."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.anomaly import Entity, Severity, Total
from schemas.time import Instant


class IncidentStatus(StrEnum):
    """An incident is open until nothing feeds it for a while; `expires_at` closes an orphan by itself."""

    OPEN = "open"
    CLOSED = "closed"


class Incident(Struct, frozen=True, kw_only=True):
    """One state of one incident on `sentinel.incidents` (compacted by `incident_id`); the newest state holds.

    `incident_id` = hash(tenant, scope, opening bucket). `severity_score` is 0-100. An incident with no `tenant_id` is
    for operators only; incidents of tenants point to it by `parent_incident_id` and tell nothing of other tenants.
    """

    incident_id: str
    tenant_id: str | None
    scope: str
    """What the anomalies have in common: `application:<id>`, `provider:<name>`, `user:<application>/<id>` (both
    percent-encoded), or `tenant:<id>` when more is wrong than can be told apart."""
    status: IncidentStatus
    severity: Severity
    severity_score: Annotated[float, Meta(ge=0, le=100)]
    title: str
    description: str
    opened_at: Instant
    updated_at: Instant
    closed_at: Instant | None = None
    expires_at: Instant
    revision: Annotated[int, Meta(ge=1)]
    """Counts the states of this incident from 1."""
    anomaly_count: Total
    anomaly_ids: tuple[str, ...]
    """The first and the strongest, at most 50."""
    entities: tuple[Entity, ...] = ()
    """Entities that took part, at most 50."""
    detectors: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    contributors: dict[str, float] = {}
    """Share of the evidence by entity id, strongest first, summing to about 1."""
    probable_cause: str = ""
    """The likeliest cause in a sentence, with the reasons: a hint."""
    causes: dict[str, float] = {}
    """Candidate causes (scopes, `model:<provider>/<model>`), likeliest first, at most 5; weights sum to about 1."""
    trace_ids: tuple[str, ...] = ()
    parent_incident_id: str | None = None
    schema_version: str = "1.0"
