"""Alert definition as users write it: what is worth telling whom, how often and when. Unknown keys are errors."""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.anomaly import Severity, Share
from schemas.rule import Operator

AlertDuration = Annotated[str, Meta(pattern=r"^[0-9]+[smhd]$")]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Aggregate(StrEnum):
    """How what matched in a window becomes one number."""

    COUNT = "count"
    AVG = "avg"
    SUM = "sum"
    MAX = "max"
    MIN = "min"


class AlertFilters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which anomalies, summaries or events count; an empty tuple means all."""

    severity: tuple[Severity, ...] = ()
    detector_ids: tuple[str, ...] = ()
    application_ids: tuple[str, ...] = ()
    tenant_ids: tuple[str, ...] = ()
    score_threshold: Share = 0.0
    """Lowest score that counts; for anomalies."""


class AlertAggregation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much within a window makes the alert fire: `function` compared with `threshold`."""

    window: AlertDuration
    function: Aggregate = Aggregate.COUNT
    operator: Operator = Operator.GE
    threshold: float = 1.0


class AnomalyTrigger(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="trigger", tag="anomaly"):
    """Fires on anomalies; `function` other than count works on their scores."""

    filters: AlertFilters = AlertFilters()
    aggregation: AlertAggregation | None = None


class MetricTrigger(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="trigger", tag="metric_threshold"
):
    """Fires on a published metric of the summaries."""

    metric: Annotated[str, Meta(min_length=1)]
    aggregation: AlertAggregation
    filters: AlertFilters = AlertFilters()


class PatternTrigger(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="trigger", tag="event_pattern"
):
    """Fires on events of which a text field matches a regular expression (searched, not anchored)."""

    field: Annotated[str, Meta(min_length=1)]
    regex: Annotated[str, Meta(max_length=1000)]
    filters: AlertFilters = AlertFilters()
    aggregation: AlertAggregation | None = None


class AlertAction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done when the alert fires; `config` is for the kind of action to judge."""

    type: Literal["notification", "shield", "webhook", "incident"]
    config: dict[str, object] = {}


class AlertThrottling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most one firing per `max_frequency` and group; a group has the same value in every field of `grouping`."""

    max_frequency: AlertDuration
    grouping: tuple[str, ...] = ()


class ActiveHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Half open `[start, end)` in local time; an end not after the start is on the next day, `24:00` is midnight."""

    start: TimeOfDay
    end: TimeOfDay


class AlertSchedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the alert may fire: on these days (of the start of the hours), at these hours, in an IANA time zone."""

    timezone: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+/-]+$")] = "UTC"
    active_hours: ActiveHours | None = None
    days_of_week: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class AlertDefinition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One alert: conditions, actions, and what keeps it from being a nuisance."""

    alert_id: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$")]
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    conditions: AnomalyTrigger | MetricTrigger | PatternTrigger
    actions: Annotated[tuple[AlertAction, ...], Meta(min_length=1)]
    enabled: bool = True
    tenant_id: str | None = None
    """None is an alert of the operators, over all tenants."""
    throttling: AlertThrottling | None = None
    schedule: AlertSchedule | None = None
    keep_firing_for: AlertDuration | None = None
    """How long the alert goes on firing after its condition is gone, so that one that comes and goes is one alert."""
    schema_version: str = "1.0"
