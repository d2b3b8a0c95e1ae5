"""Summary: one metric of one entity over one window, with the range that was expected (metrics aggregation)."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.anomaly import Entity, Share, Total
from schemas.rule import Duration
from schemas.time import Instant


class Summary(Struct, frozen=True, kw_only=True, gc=False):
    """One record of `sentinel.summaries`."""

    metric_name: str
    timestamp: Instant
    """Start of the window, RFC 3339 UTC."""
    window_end: Instant
    window_duration: Duration
    """Digits and a unit: `10s`, `1m`."""
    aggregation: Annotated[str, Meta(pattern="^(avg|sum|min|max|count|rate|p50|p95|p99)$")]
    """One of avg, sum, min, max, count, rate, p50, p95, p99."""
    value: float
    unit: str
    entity: Entity
    dimensions: dict[str, str]
    """`tenant_id, application_id, provider, model` as far as they apply."""
    expected: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    sample_count: Total = 0
    """Events in the window."""
    completeness: Share = 1.0
    """Share of the window that was observed, in [0, 1]."""
    schema_version: str = "1.0"
