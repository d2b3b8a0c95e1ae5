"""Anomalies: a detector's flag, made into a record that explains itself."""

from math import isfinite

from msgspec.structs import replace

from schemas.anomaly import Anomaly, AnomalyContext, Direction, Entity, EntityType, Expected, Moved, Severity
from schemas.telemetry import TelemetryEvent
from schemas.time import from_at_ms
from udfs.aggregates import CATEGORIES, COMBINATION, UNITS
from udfs.entity import UNKNOWN
from udfs.explanation import explained, rarity_text
from udfs.identity import anomaly_id, fingerprint
from udfs.store import Flag

_SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
_DIRECTIONS = {1: Direction.HIGH, 0: Direction.NONE, -1: Direction.LOW}
_SIDES = {1: "above", 0: "outside", -1: "below"}


def of_event(flag: Flag, entity: Entity, event: TelemetryEvent) -> Anomaly:
    """Return the anomaly of a single event."""
    context = AnomalyContext(sample_events=(event.event_id,))
    traces = (event.trace_id,) if event.trace_id else ()
    user = event.metadata.user_id if event.metadata and entity.type is not EntityType.USER else None
    moved = (Moved(dimension="user", value=user, share=1.0),) if user else ()
    if flag.metric in CATEGORIES:
        return _of_kind(_anomaly(flag, entity, event.event_id, context, traces, moved), flag, entity, event)
    return _anomaly(flag, entity, event.event_id, context, traces, moved)


def _of_kind(anomaly: Anomaly, flag: Flag, entity: Entity, event: TelemetryEvent) -> Anomaly:
    """Return the anomaly of a metric that is no quantity: what is seen has a name, and nothing is expected of it."""
    value = kind_text(flag.metric, event)
    return replace(
        anomaly,
        title=f"unusual {flag.metric} {value}: {entity.name}",
        description=f"Calls of {flag.metric} {value}, of which there were hardly any: {_evidence(flag)}",
        explanation=(
            f"A noticeable part of the calls is of {flag.metric} {value} now, which this {entity.type.value} hardly "
            f"ever had before; {rarity_text(flag.score)}."
        ),
        observed=None,
        expected=Expected(),
        moved=(Moved(dimension="model", value=value, share=1.0),) if flag.metric == "model" else (),
        metrics={"deviation": flag.raw_score, "threshold": anomaly.metrics["threshold"]},
    )


def kind_text(metric: str, event: TelemetryEvent) -> str:
    """Return what a call is in a metric of `CATEGORIES`: its model, or the hour of its time."""
    return event.data.model or UNKNOWN if metric == "model" else f"{event.timestamp[11:13]}:00 UTC"


def of_window(flag: Flag, entity: Entity, level: str, length_ms: int, moved: tuple[Moved, ...] = ()) -> Anomaly:
    """Return the anomaly of a window, or of the silence that the window was part of."""
    start, end = from_at_ms(flag.at_ms - length_ms), from_at_ms(flag.at_ms)
    context = AnomalyContext(window_start=start, window_end=end)
    return _anomaly(flag, entity, f"{level}@{flag.at_ms}", context, (), moved)


def _anomaly(
    flag: Flag,
    entity: Entity,
    evidence: str,
    context: AnomalyContext,
    traces: tuple[str, ...],
    moved: tuple[Moved, ...],
) -> Anomaly:
    detector = flag.detector
    metric = flag.metric or COMBINATION
    expected = Expected(value=_finite(flag.expected), low=_finite(flag.low), high=_finite(flag.high))
    figures = {
        "baseline_value": expected.value,
        "observed_value": _finite(flag.observed),
        "deviation": flag.raw_score,
        "threshold": detector.warning if flag.rank == 1 else detector.critical,
    }
    return Anomaly(
        anomaly_id=anomaly_id(detector.detector_id, entity.id, metric, evidence),
        timestamp=from_at_ms(flag.at_ms),
        detector_id=detector.detector_id,
        detector_type=detector.detector_type,
        detector_version=flag.version,
        severity=_SEVERITIES[flag.rank],
        score=flag.score,
        raw_score=flag.raw_score,
        tenant_id=entity.tenant_id or None,
        application_id=entity.application_id or None,
        title=_title(flag, entity),
        description=_description(flag, expected),
        affected_entity=entity,
        metric=metric,
        unit=UNITS[metric],
        method=detector.method,
        direction=_DIRECTIONS[flag.side],
        observed=_finite(flag.observed),
        expected=expected,
        metrics={name: figure for name, figure in figures.items() if figure is not None},
        sample_count=flag.samples,
        volume=flag.volume,
        context=context,
        contributors=flag.contributions,
        trace_ids=traces,
        fingerprint=fingerprint(detector.detector_id, entity.id, metric),
        explanation=explained(flag, expected, moved),
        moved=moved,
    )


def _title(flag: Flag, entity: Entity) -> str:
    if flag.detector.form == "silence":
        return f"no calls: {entity.name}"
    if not flag.metric:
        return f"unusual combination of metrics: {entity.name}"
    return f"{flag.metric} {_SIDES[flag.side]} its expected range: {entity.name}"


def _description(flag: Flag, expected: Expected) -> str:
    evidence = _evidence(flag)
    if flag.detector.form == "silence":
        return f"No call came, at an expected {flag.expected:.3g} calls/s: {evidence}"
    if not flag.metric:
        shares = sorted(flag.contributions.items(), key=lambda each: -each[1])
        parts = ", ".join(f"{name} {share:.0%}" for name, share in shares if share >= 0.1)  # noqa: PLR2004 a part worth naming
        return f"Metrics that are unusual together ({parts}): {evidence}"
    unit = UNITS[flag.metric]
    ends = [
        f"{word} {end:.6g}" for word, end in (("at least", expected.low), ("at most", expected.high)) if end is not None
    ]
    usual = f"expected {' and '.join(ends)} {unit}" if ends else "of which nothing definite was expected"
    return f"{flag.metric} was {flag.observed:.6g} {unit}, {usual}: {evidence}"


def _evidence(flag: Flag) -> str:
    detector = flag.detector
    return (
        f"{flag.raw_score:.3g} {detector.unit} by {detector.method}, where {detector.warning:g} is a warning, "
        f"on {flag.samples} earlier observations."
    )


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
