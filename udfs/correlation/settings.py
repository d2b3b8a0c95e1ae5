"""Settings of correlation: the few numbers an operator may change, with the reasons for their defaults."""

from typing import Annotated

from msgspec import Meta, Struct

Milliseconds = Annotated[int, Meta(ge=1_000, le=86_400_000)]
Score = Annotated[float, Meta(ge=0, le=100)]


class CorrelationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When anomalies belong together, when they are an incident, and when it is over."""

    window_ms: Milliseconds = 120_000
    """Weak witnesses add up within this span: two windows of one minute, so that second- and minute-level ones meet."""
    quiet_ms: Milliseconds = 300_000
    """An incident without new evidence closes after this, plus half a minute for an anomaly that comes exactly once in
    five minutes (the refractory time of rules)."""
    longest_ms: Milliseconds = 14_400_000
    """An incident ends after four hours; if the trouble goes on, another one opens. Bounds chains of evidence."""
    growth_ms: Milliseconds = 10_000
    """News that changes neither severity, entities nor kinds of metric is told at most this often."""
    open_score: Score = 60.0
    critical_score: Score = 85.0
    lone_event_score: Annotated[float, Meta(ge=0, le=1)] = 0.9
    """A single event that a detector (no rule, none of behaviour) calls critical opens an incident alone from this
    score on."""
