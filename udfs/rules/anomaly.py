"""Anomaly of a rule: what was said to be wrong, and what was seen."""

from schemas.anomaly import Anomaly, AnomalyContext, DetectorType, Direction, Expected, Severity
from schemas.rule import All, Any, Condition, Not, Operator, Pattern, Rule, Threshold
from schemas.telemetry import TelemetryEvent
from schemas.time import from_at_ms
from udfs.aggregates import UNITS
from udfs.explanation import quantity_text
from udfs.identity import anomaly_id, fingerprint
from udfs.rules.watch import Hit

_SCORES = {Severity.INFO: 0.3, Severity.WARNING: 0.6, Severity.CRITICAL: 0.9}
"""A rule knows no probabilities; its author's severity is what there is to go by."""
_SIGNS = {
    Operator.GT: ">",
    Operator.GE: ">=",
    Operator.LT: "<",
    Operator.LE: "<=",
    Operator.EQ: "=",
    Operator.NE: "!=",
}
_ABOVE, _BELOW = {Operator.GT, Operator.GE}, {Operator.LT, Operator.LE}


def of_event_rule(hit: Hit, event: TelemetryEvent) -> Anomaly:
    """Return the anomaly of a rule that an event completed."""
    context = AnomalyContext(sample_events=(event.event_id,))
    return _anomaly(hit, event.event_id, context, (event.trace_id,) if event.trace_id else (), 1)


def of_window_rule(hit: Hit, level: str, length_ms: int, volume: int) -> Anomaly:
    """Return the anomaly of a rule that a window completed."""
    context = AnomalyContext(window_start=from_at_ms(hit.at_ms - length_ms), window_end=from_at_ms(hit.at_ms))
    return _anomaly(hit, f"{level}@{hit.at_ms}", context, (), volume)


def _anomaly(hit: Hit, evidence: str, context: AnomalyContext, traces: tuple[str, ...], volume: int) -> Anomaly:
    rule, entity = hit.rule, hit.entity
    detector_id = f"rule-{rule.rule_id}"
    threshold, observed = hit.evidence or (None, None)
    metric = threshold.metric if threshold is not None else _first_subject(rule)
    limit = threshold.value if threshold is not None else None
    direction, expected = Direction.NONE, Expected()
    if threshold is not None and threshold.operator in _ABOVE:
        direction, expected = Direction.HIGH, Expected(high=limit)
    elif threshold is not None and threshold.operator in _BELOW:
        direction, expected = Direction.LOW, Expected(low=limit)
    figures = {"observed_value": observed, "threshold": limit}
    return Anomaly(
        anomaly_id=anomaly_id(detector_id, entity.id, metric, evidence),
        timestamp=from_at_ms(hit.at_ms),
        detector_id=detector_id,
        detector_type=DetectorType.RULE,
        detector_version=rule.version,
        severity=rule.severity,
        score=_SCORES[rule.severity],
        tenant_id=entity.tenant_id or None,
        application_id=entity.application_id or None,
        title=f"{rule.name or rule.rule_id}: {entity.name}",
        description=f"Rule {rule.rule_id} holds: {_spoken(rule)}.",
        explanation=_explained(rule, metric, observed, limit),
        affected_entity=entity,
        metric=metric,
        unit=UNITS.get(metric, ""),
        method="rule",
        direction=direction,
        observed=observed,
        expected=expected,
        metrics={name: figure for name, figure in figures.items() if figure is not None},
        volume=volume,
        context=context,
        trace_ids=traces,
        fingerprint=fingerprint(detector_id, entity.id, metric),
    )


def _explained(rule: Rule, metric: str, observed: float | None, limit: float | None) -> str:
    if observed is None or limit is None:
        return f"Rule {rule.rule_id} holds ({_spoken(rule)}); how rare that is, a rule does not say."
    unit = UNITS.get(metric, "")
    seen, limit_text = quantity_text(observed, unit), quantity_text(limit, unit)
    return f"{metric} was {seen}, and rule {rule.rule_id} sets the limit at {limit_text}; rules know no rarity."


def _spoken(rule: Rule) -> str:
    if rule.sequence:
        steps = (
            f"{_words(step.when)}" + (f" ({step.count} times)" if step.count > 1 else "") for step in rule.sequence
        )
        return f"{', then '.join(steps)}, within {rule.within}"
    said = _words(rule.when) if rule.when is not None else ""
    if rule.for_duration:
        said += f", for {rule.for_duration}"
    return said + (f", {rule.consecutive} times in a row" if rule.consecutive > 1 else "")


def _words(condition: Condition) -> str:
    if isinstance(condition, Threshold):
        return f"{condition.metric} {_SIGNS[condition.operator]} {condition.value:g}"
    if isinstance(condition, Pattern):
        return f"{condition.field} matches {condition.regex!r}"
    if isinstance(condition, Not):
        return f"not ({_words(condition.of)})"
    word = " and " if isinstance(condition, All) else " or "
    return "(" + word.join(_words(part) for part in condition.of) + ")"


def _first_subject(rule: Rule) -> str:
    """Return the metric or text field that the rule looks at first."""
    condition: Condition | None = rule.when if rule.when is not None else rule.sequence[-1].when
    while isinstance(condition, All | Any | Not):
        condition = condition.of if isinstance(condition, Not) else condition.of[0]
    return condition.field if isinstance(condition, Pattern) else condition.metric if condition is not None else ""
