"""From an incident to alerts: it fires while the incident is open, at its present severity, and ends when it closes.

The labels come from what never changes about an incident, its id and its scope, and from its severity; when that
changes, the alert of the former severity ends and says so.
"""

import re
from typing import Final
from urllib.parse import unquote

from schemas.anomaly import Entity, Severity
from schemas.incident import Incident, IncidentStatus
from schemas.time import to_at_ms
from udfs.alerting.advice import advice_on
from udfs.alerting.alert import Alert
from udfs.alerting.from_anomaly import (
    ALERTS_OF_OURS,
    NO_LINKS,
    AlertLinks,
    continued,
    instant_text,
    short_entity_text,
)

ALERT_NAME: Final = "LlmIncident"
_ENTITIES_TOLD = 5
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")


def alerts_of_incident(incident: Incident, now_ms: int, links: AlertLinks = NO_LINKS) -> tuple[Alert, ...]:
    """Return the alert of a state of an incident that was read at `now_ms`, and the ends of its other severities.

    While it is open the alert ends by itself as long after `now_ms` as the incident closes by itself after its last
    update, so that telemetry that is read late fires as long as telemetry read at once.
    """
    holds_ms = max(0, to_at_ms(incident.expires_at) - to_at_ms(incident.updated_at))
    if incident.status is IncidentStatus.OPEN:
        ends_at_ms = now_ms + holds_ms
    else:
        ends_at_ms = min(to_at_ms(incident.closed_at or incident.updated_at), now_ms)
    current = Alert(
        labels=labels_of_incident(incident),
        annotations=annotations_of_incident(incident, links),
        starts_at_ms=min(to_at_ms(incident.opened_at), ends_at_ms),
        updated_at_ms=now_ms,
        ends_at_ms=ends_at_ms,
        generator_url=links.incident.replace("{id}", incident.incident_id),
    )
    if incident.status is IncidentStatus.CLOSED:
        ended = [current.labels | {"severity": each.value} for each in Severity if each is not incident.severity]
        return (current, *(replaced_labels(current, labels) for labels in ended))
    others = [each for each in Severity if each is not incident.severity]
    return (current, *(continued(current, each, incident.severity, now_ms) for each in others))


def replaced_labels(alert: Alert, labels: dict[str, str]) -> Alert:
    """Return the same alert under other labels."""
    return Alert(
        labels=labels,
        annotations=alert.annotations,
        starts_at_ms=alert.starts_at_ms,
        updated_at_ms=alert.updated_at_ms,
        ends_at_ms=alert.ends_at_ms,
        generator_url=alert.generator_url,
    )


def labels_of_incident(incident: Incident) -> dict[str, str]:
    """Return what identifies the alert of an incident: the same for all its states at one severity."""
    kind, _, name = incident.scope.partition(":")
    application, _, user = name.partition("/") if kind in ("application", "user") else ("", "", "")
    labels = {
        "alertname": ALERT_NAME,
        ALERTS_OF_OURS: "incident",
        "severity": incident.severity.value,
        "tenant_id": incident.tenant_id or "",
        "incident_id": incident.incident_id,
        "scope": incident.scope,
        "application_id": unquote(application),
        "user_id": unquote(user),
        "provider": name if kind == "provider" else "",
    }
    return {label: value for label, value in labels.items() if value}


def annotations_of_incident(incident: Incident, links: AlertLinks = NO_LINKS) -> dict[str, str]:
    """Return what a person reads of an incident; what is not known is left out."""
    annotations = {
        "summary": incident.title,
        "description": _with_instants(incident.description),
        "observed": (
            f"{incident.anomaly_count} {'anomaly' if incident.anomaly_count == 1 else 'anomalies'} in "
            f"{', '.join(incident.metrics[:3])}; severity {incident.severity_score:.0f} of 100"
        ),
        "expected": "no anomalies that belong together",
        "since": instant_text(to_at_ms(incident.opened_at)),
        "entities": entities_text(incident.entities, incident.contributors),
        "cause": _with_instants(incident.probable_cause),
        "what_to_do": advice_on(incident.metrics),
        "runbook_url": links.runbook.replace("{id}", incident.incident_id),
        "link": links.incident.replace("{id}", incident.incident_id),
        "revision": str(incident.revision),
        "trace_ids": ", ".join(incident.trace_ids),
        "part_of": incident.parent_incident_id or "",
    }
    return {name: value for name, value in annotations.items() if value}


def _with_instants(text: str) -> str:
    """Return a text with its RFC 3339 instants as people read them."""
    return _INSTANT.sub(r"\1 \2 UTC", text)


def entities_text(entities: tuple[Entity, ...], shares: dict[str, float]) -> str:
    """Return who takes part, with the share of the evidence, strongest first, at most five by name."""
    ranked = sorted(entities, key=lambda each: (-shares.get(each.id, 0.0), each.id))
    named = [
        f"{short_entity_text(each)} ({shares[each.id]:.0%})" if each.id in shares else short_entity_text(each)
        for each in ranked[:_ENTITIES_TOLD]
    ]
    rest = len(ranked) - len(named)
    return "; ".join((*named, f"{rest} more") if rest else named)
