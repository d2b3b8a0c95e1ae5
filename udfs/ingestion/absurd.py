"""The absurd: single calls that are wrong whatever is usual, told by a sidecar even when it is cut off.

Fixed thresholds and no state: learned baselines are the detection job's.
"""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from schemas.telemetry import TelemetryEvent

Threshold = Annotated[float, Meta(gt=0)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What no single call should exceed; null for no threshold."""

    latency_ms: Threshold | None = 600_000
    total_tokens: Threshold | None = 2_000_000
    cost: Threshold | None = 100
    """US dollars."""


class AbsurdCall(Struct, frozen=True, kw_only=True):
    """A threshold that a call exceeds."""

    metric: str
    value: float
    threshold: float


def absurdities(event: TelemetryEvent, thresholds: Thresholds) -> Iterator[AbsurdCall]:
    """Return the thresholds that an event exceeds."""
    data = event.data
    for metric, value, threshold in (
        ("latency_ms", data.latency_ms, thresholds.latency_ms),
        ("total_tokens", data.total_tokens, thresholds.total_tokens),
        ("cost", data.cost, thresholds.cost),
    ):
        if value is not None and threshold is not None and value > threshold:
            yield AbsurdCall(metric=metric, value=value, threshold=threshold)
