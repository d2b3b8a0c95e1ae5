"""From an anomaly to alerts: labels that routes match on, annotations that people read.

An anomaly never changes, and a series that goes on being anomalous is told of again once a minute: each telling has
the same labels, hence is the same alert, which ends by the resolve time-out when nothing more is told. A more severe
telling ends the less severe alert of the same series, whose severity is one of its labels.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from schemas.anomaly import SEVERITY_RANK, Anomaly, Entity, EntityType, Moved, Severity
from schemas.time import from_at_ms, to_at_ms
from udfs.aggregates import COMBINATION
from udfs.alerting.advice import advice_on
from udfs.alerting.alert import Alert
from udfs.explanation import number_text, quantity_text

ALERTS_OF_OURS: Final = "sentinel_source"
"""The label that tells alerts made here from those of other senders: `anomaly` or `incident`."""
_UNITS_IN_NAMES: Final = frozenset(
    {"ms", "usd", "s", "per", "mean", "p50", "p95", "p99", "max"},
)
_TYPE_WORDS: Final = {
    EntityType.MODEL: "model",
    EntityType.USER: "user",
    EntityType.TENANT_PROVIDER: "provider",
    EntityType.PROVIDER: "provider",
    EntityType.APPLICATION: "application",
    EntityType.ENDPOINT: "endpoint",
}


METRIC_WORDS: Final = {
    "latency_ms": "Latency of a call",
    "latency_ms_mean": "Mean latency",
    "latency_ms_p50": "Latency (p50)",
    "latency_ms_p95": "Latency (p95)",
    "latency_ms_p99": "Latency (p99)",
    "ttft_ms": "Time to first token of a call",
    "ttft_ms_mean": "Mean time to first token",
    "ttft_ms_p95": "Time to first token (p95)",
    "error_rate": "Error rate",
    "calls_per_s": "Calls",
    "tokens_per_s": "Tokens",
    "prompt_tokens": "Prompt tokens of a call",
    "prompt_tokens_mean": "Mean prompt tokens",
    "completion_tokens": "Completion tokens of a call",
    "completion_tokens_mean": "Mean completion tokens",
    "cost_usd": "Cost of a call",
    "cost_usd_mean": "Mean cost of a call",
    "cost_usd_per_s": "Cost",
}
"""Metrics as people call them."""


class AlertLinks(Struct, frozen=True, kw_only=True):
    """Where people find more: URLs in which `{id}` stands for the anomaly or incident; empty is no link."""

    anomaly: str = ""
    incident: str = ""
    runbook: str = ""


NO_LINKS: Final = AlertLinks()


def alerts_of_anomaly(anomaly: Anomaly, now_ms: int, links: AlertLinks = NO_LINKS) -> tuple[Alert, ...]:
    """Return the alert of an anomaly that was read at `now_ms`, and the ends of its less severe forms."""
    labels = labels_of_anomaly(anomaly)
    link = links.anomaly.replace("{id}", anomaly.anomaly_id)
    firing = Alert(
        labels=labels,
        annotations=annotations_of_anomaly(anomaly, links),
        starts_at_ms=min(began_at_ms(anomaly), now_ms),
        updated_at_ms=now_ms,
        generator_url=link,
    )
    lesser = [each for each in Severity if SEVERITY_RANK[each] < SEVERITY_RANK[anomaly.severity]]
    return (firing, *(continued(firing, each, anomaly.severity, now_ms) for each in lesser))


def continued(firing: Alert, former: Severity, severity: Severity, now_ms: int) -> Alert:
    """Return the end of the form of an alert that had another severity; nothing comes of it if that never fired."""
    annotations = firing.annotations | {"summary": f"Goes on as {severity}: {firing.annotations['summary']}"}
    return Alert(
        labels=firing.labels | {"severity": former.value},
        annotations=annotations,
        starts_at_ms=firing.starts_at_ms,
        updated_at_ms=now_ms,
        ends_at_ms=now_ms,
        generator_url=firing.generator_url,
    )


def labels_of_anomaly(anomaly: Anomaly) -> dict[str, str]:
    """Return what identifies the alert of an anomaly: the same for every telling at one severity."""
    entity = anomaly.affected_entity
    labels = {
        "alertname": alert_name(anomaly.metric),
        ALERTS_OF_OURS: "anomaly",
        "severity": anomaly.severity.value,
        "tenant_id": anomaly.tenant_id or "",
        "application_id": anomaly.application_id or entity.application_id,
        "provider": entity.provider,
        "model": entity.model,
        "detector_id": anomaly.detector_id,
        "detector_type": anomaly.detector_type.value,
        "metric": anomaly.metric,
        "entity": entity.id,
        "entity_type": entity.type.value,
    }
    return {name: value for name, value in labels.items() if value}


def annotations_of_anomaly(anomaly: Anomaly, links: AlertLinks = NO_LINKS) -> dict[str, str]:
    """Return what a person reads of an anomaly; what is not known is left out."""
    annotations = {
        "summary": summary_of(anomaly),
        "description": anomaly.explanation or anomaly.description,
        "observed": _observed(anomaly),
        "expected": _expected(anomaly),
        "since": instant_text(began_at_ms(anomaly)),
        "entities": entity_text(anomaly.affected_entity),
        "cause": _cause(anomaly.moved),
        "what_to_do": advice_on((anomaly.metric, *anomaly.contributors), anomaly.direction),
        "runbook_url": links.runbook.replace("{id}", anomaly.anomaly_id),
        "link": links.anomaly.replace("{id}", anomaly.anomaly_id),
        "anomaly_id": anomaly.anomaly_id,
        "trace_ids": ", ".join(anomaly.trace_ids),
    }
    return {name: value for name, value in annotations.items() if value}


def alert_name(metric: str) -> str:
    """Return the name of the alerts of a metric, without unit and statistic: `LlmLatencyAnomaly`."""
    words = [word for word in metric.split("_") if word not in _UNITS_IN_NAMES]
    name = "".join(word[:1].upper() + word[1:] for word in words if word)
    return f"Llm{'Behaviour' if metric in ('', COMBINATION) else name}Anomaly"


def summary_of(anomaly: Anomaly) -> str:
    """Return one line: what of whom is how much, instead of how much."""
    observed, expected = anomaly.observed, anomaly.expected.value
    words = METRIC_WORDS.get(anomaly.metric)
    if words is None or observed is None or expected is None:
        return anomaly.title or f"{anomaly.metric or 'Behaviour'} of {anomaly.affected_entity.id} is unusual"
    compared = f"{readable(observed, anomaly.unit)} instead of about {readable(expected, anomaly.unit)}"
    return f"{words} of {short_entity_text(anomaly.affected_entity)}: {compared}"


def readable(value: float, unit: str) -> str:
    """Return a value with its unit as people say it: long times in seconds, minutes or hours."""
    if unit == "ms" and abs(value) >= 1_000.0:  # noqa: PLR2004 a second
        for size, name, end in ((1_000.0, "s", 120.0), (60_000.0, "min", 120.0), (3_600_000.0, "h", float("inf"))):
            if abs(value) < size * end:
                return f"{number_text(value / size)} {name}"
    return quantity_text(value, unit)


def short_entity_text(entity: Entity) -> str:
    """Return an entity in a few words: `gpt-4o in checkout`."""
    place = f" in {entity.application_id}" if entity.application_id else ""
    if entity.type is EntityType.MODEL:
        return f"{entity.model or entity.name}{place}"
    if entity.type is EntityType.USER:
        return f"user {entity.user_id or entity.name}{place}"
    if entity.type is EntityType.PROVIDER:
        return f"{entity.provider or entity.name} over all tenants"
    return entity.provider or entity.application_id or entity.name or entity.id


def began_at_ms(anomaly: Anomaly) -> int:
    """Return when what was observed began: the start of its window, or the call itself."""
    return to_at_ms(anomaly.context.window_start or anomaly.timestamp)


def instant_text(at_ms: int) -> str:
    """Return an instant as people read it: `2026-11-24 09:30:00 UTC`."""
    return f"{from_at_ms(at_ms)[:19].replace('T', ' ')} UTC"


def entity_text(entity: Entity) -> str:
    """Return an entity in words: `model gpt-4o of openai, application checkout, tenant acme`."""
    word = _TYPE_WORDS[entity.type]
    own = {
        EntityType.MODEL: entity.model,
        EntityType.USER: entity.user_id,
        EntityType.TENANT_PROVIDER: entity.provider,
        EntityType.PROVIDER: entity.provider,
        EntityType.APPLICATION: entity.application_id,
        EntityType.ENDPOINT: entity.name,
    }
    name = own[entity.type] or entity.name or entity.id
    parts = [f"{word} {name}"]
    if entity.type in (EntityType.MODEL, EntityType.ENDPOINT) and entity.provider:
        parts[0] += f" of {entity.provider}"
    if entity.application_id and entity.type is not EntityType.APPLICATION:
        parts.append(f"application {entity.application_id}")
    if entity.tenant_id:
        parts.append(f"tenant {entity.tenant_id}")
    return ", ".join(parts)


def _cause(moved: Sequence[Moved]) -> str:
    if not moved:
        return ""
    return f"moved most by {', '.join(f'{each.dimension} {each.value} ({each.share:.0%})' for each in moved)}"


def _observed(anomaly: Anomaly) -> str:
    if anomaly.observed is None:
        return ""
    text = readable(anomaly.observed, anomaly.unit)
    return f"{text} in {anomaly.volume} calls" if anomaly.volume > 1 else text


def _expected(anomaly: Anomaly) -> str:
    expected = anomaly.expected
    middle = "" if expected.value is None else f"about {readable(expected.value, anomaly.unit)}"
    ends = [
        f"{word} {readable(end, anomaly.unit)}"
        for word, end in (("from", expected.low), ("up to", expected.high))
        if end is not None
    ]
    return f"{middle} ({' '.join(ends)})" if middle and ends else middle or " ".join(ends)
