"""Anomaly: an observation judged anomalous by one detector, with everything a reader needs to believe it."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.time import Instant

Share = Annotated[float, Meta(ge=0, le=1)]
"""A part of a whole, or a calibrated score: from 0 to 1."""
Total = Annotated[int, Meta(ge=0)]


class Severity(StrEnum):
    """How much attention an anomaly or incident asks for; outside scales are mapped in adapters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


SEVERITY_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
"""Order of the severities, for comparisons."""


class DetectorType(StrEnum):
    """The family a detector belongs to."""

    STATISTICAL = "statistical"
    RULE = "rule"
    ML = "ml"
    BEHAVIORAL = "behavioral"


class AnomalyStatus(StrEnum):
    """Where an anomaly is in its life; the detection job only ever writes `active`."""

    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"


class Direction(StrEnum):
    """On which side of the expected range the observation lies."""

    HIGH = "high"
    LOW = "low"
    NONE = "none"


class EntityType(StrEnum):
    """What kind of thing a baseline belongs to."""

    MODEL = "model"
    """One model as used by one application of one tenant."""
    USER = "user"
    """One user of one application of one tenant."""
    TENANT_PROVIDER = "tenant_provider"
    """All calls of one tenant to one provider."""
    PROVIDER = "provider"
    """All calls to one provider over all tenants; seen by operators only."""
    APPLICATION = "application"
    ENDPOINT = "endpoint"


class Entity(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What an anomaly is about. Parts that do not apply are empty strings."""

    type: EntityType
    id: str
    """Stable text form, unique over all types: parts joined by `/`, percent-encoded."""
    name: str = ""
    tenant_id: str = ""
    application_id: str = ""
    provider: str = ""
    model: str = ""
    user_id: str = ""


class Expected(Struct, frozen=True, kw_only=True):
    """The range in which the observation would not have been remarkable, in the metric's unit."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class AnomalyContext(Struct, frozen=True, kw_only=True):
    """When and on what evidence; window bounds are RFC 3339 UTC, half open `[window_start, window_end)`."""

    window_start: Instant | None = None
    window_end: Instant | None = None
    sample_events: tuple[str, ...] = ()
    """Event ids of the evidence, at most 10."""
    related_anomalies: tuple[str, ...] = ()


class Moved(Struct, frozen=True, kw_only=True, gc=False):
    """One part of the traffic, and its share of what moved the metric."""

    dimension: Annotated[str, Meta(pattern="^(tenant|application|model|user)$")]
    value: str
    share: Share
    """Of the same dimension; what is not named makes up the rest to 1."""


class ActionTaken(Struct, frozen=True, kw_only=True):
    """What was done because of the anomaly; written by dispatch and Shield, never by the detection job."""

    action: str
    target: str
    status: str
    timestamp: Instant


class Anomaly(Struct, frozen=True, kw_only=True):
    """One record of `sentinel.anomalies`; forwarded once per `anomaly_id`, unchanged.

    `anomaly_id` is a hash of detector, entity, metric and event or window, so that replays, restarts and repeated
    events give the same id. `raw_score` >= 0 is in the detector's own unit; `score` in [0, 1] is calibrated and
    comparable between detectors.
    """

    anomaly_id: str
    timestamp: Instant
    """Event time of the observation (end of its window), RFC 3339 UTC with milliseconds."""
    detector_id: str
    detector_type: DetectorType
    severity: Severity
    score: Share
    status: AnomalyStatus = AnomalyStatus.ACTIVE
    schema_version: str = "1.0"
    detector_version: str = "1"
    raw_score: Annotated[float, Meta(ge=0)] = 0.0
    tenant_id: str | None = None
    """None for what only operators may see (provider over all tenants)."""
    application_id: str | None = None
    title: str = ""
    description: str = ""
    affected_entity: Entity
    metric: str = ""
    unit: str = ""
    method: str = ""
    direction: Direction = Direction.NONE
    observed: float | None = None
    expected: Expected = Expected()
    metrics: dict[str, float] = {}
    """`baseline_value, observed_value, deviation, threshold` where they apply."""
    sample_count: Total = 0
    """Observations the baseline rests on."""
    volume: Total = 0
    """Events in the window (1 for a single event)."""
    context: AnomalyContext = AnomalyContext()
    contributors: dict[str, float] = {}
    """Share of the score by feature or dimension, summing to about 1."""
    trace_ids: tuple[str, ...] = ()
    fingerprint: str = ""
    """Same for all anomalies of one detector, entity and metric: what deduplication goes by."""
    actions_taken: tuple[ActionTaken, ...] = ()
    explanation: str = ""
    """For people: what was seen, what was expected, how rare that is, and who moved."""
    moved: tuple[Moved, ...] = ()
    """Which parts of the traffic moved the metric, strongest first, as far as that is known."""
