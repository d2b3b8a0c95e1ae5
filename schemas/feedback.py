"""Feedback: what a person says of an anomaly, whether it was worth telling."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.anomaly import Severity
from schemas.time import Instant

Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Feedback(Struct, frozen=True, kw_only=True):
    """One record of `sentinel.feedback`, under the key `anomaly_id`: of several about one anomaly the newest holds.

    What is needed to judge the detector is copied from the anomaly, which leaves its own topic sooner.
    """

    anomaly_id: Name
    verdict: Literal["true", "false"]
    """`true`: there was something to know. `false`: a false alarm."""
    given_at: Instant
    """When it was said, RFC 3339 UTC."""
    note: Annotated[str, Meta(max_length=2000)] = ""
    given_by: Annotated[str, Meta(max_length=256)] = ""
    timestamp: Instant
    """Event time of the anomaly."""
    detector_id: Name
    detector_version: str = "1"
    tenant_id: str | None = None
    entity_id: str = ""
    metric: str = ""
    severity: Severity
    raw_score: Annotated[float, Meta(ge=0)]
    """In the detector's own unit, as its thresholds are."""
    schema_version: str = "1.0"
