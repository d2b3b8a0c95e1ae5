"""Anomalies: a detector's flag, made into a record that explains itself."""

from math import erfc, log10, sqrt

from schemas.anomaly import Anomaly, AnomalyContext, Direction, Entity, Expected, Severity
from schemas.telemetry import TelemetryEvent
from schemas.time import from_at_ms
from udfs.aggregates import UNITS
from udfs.identity import anomaly_id, fingerprint
from udfs.store import Flag

_RAREST = 1e-10
"""Tail probability from which the score is 1."""
_SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


def rarity(z: float) -> float:
    """Return a calibrated score in [0, 1]: 0.1 for each power of ten in the two-sided normal tail beyond `z`.

    Detectors give scores on the scale of standard deviations, so theirs are comparable: 0.5 is one in 100,000.
    """
    tail = erfc(z / sqrt(2.0))
    return 1.0 if tail <= _RAREST else log10(tail) / log10(_RAREST)


def of_event(flag: Flag, entity: Entity, event: TelemetryEvent, at_ms: int) -> Anomaly:
    """Return the anomaly of a single event."""
    context = AnomalyContext(sample_events=(event.event_id,))
    traces = (event.trace_id,) if event.trace_id else ()
    return _anomaly(flag, entity, event.event_id, at_ms, context, traces)


def of_window(flag: Flag, entity: Entity, level: str, end_ms: int, length_ms: int) -> Anomaly:
    """Return the anomaly of a window."""
    context = AnomalyContext(window_start=from_at_ms(end_ms - length_ms), window_end=from_at_ms(end_ms))
    return _anomaly(flag, entity, f"{level}@{end_ms}", end_ms, context, ())


def _anomaly(
    flag: Flag, entity: Entity, evidence: str, at_ms: int, context: AnomalyContext, traces: tuple[str, ...]
) -> Anomaly:
    detector = flag.detector
    unit = UNITS[flag.metric]
    side = "above" if flag.is_high else "below"
    return Anomaly(
        anomaly_id=anomaly_id(detector.detector_id, entity.id, flag.metric, evidence),
        timestamp=from_at_ms(at_ms),
        detector_id=detector.detector_id,
        detector_type=detector.detector_type,
        detector_version=detector.version,
        severity=_SEVERITIES[flag.rank],
        score=rarity(flag.raw_score),
        raw_score=flag.raw_score,
        tenant_id=entity.tenant_id or None,
        application_id=entity.application_id or None,
        title=f"{flag.metric} {side} its expected range: {entity.name}",
        description=(
            f"{flag.metric} was {flag.observed:.6g} {unit}, expected {flag.low:.6g} to {flag.high:.6g} {unit}: "
            f"{flag.raw_score:.1f} standard deviations by {detector.method}, on {flag.samples} earlier observations."
        ),
        affected_entity=entity,
        metric=flag.metric,
        unit=unit,
        method=detector.method,
        direction=Direction.HIGH if flag.is_high else Direction.LOW,
        observed=flag.observed,
        expected=Expected(value=flag.expected, low=flag.low, high=flag.high),
        metrics={
            "baseline_value": flag.expected,
            "observed_value": flag.observed,
            "deviation": flag.raw_score,
            "threshold": detector.warning,
        },
        sample_count=flag.samples,
        volume=flag.volume,
        context=context,
        trace_ids=traces,
        fingerprint=fingerprint(detector.detector_id, entity.id, flag.metric),
    )
