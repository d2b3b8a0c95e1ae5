"""Settings of detection: what a user may configure of it; the defaults are the one default configuration."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from udfs.correlation.settings import CorrelationSettings
from udfs.statistical import AnyDetector, default_detectors


class DetectionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How telemetry is judged. Times are event time in milliseconds."""

    telemetry_topic: str = "llm-telemetry"
    partitions: Annotated[int, Meta(ge=1)] = 1
    """Partitions of the telemetry topic; the job looks it up."""
    bound_ms: Annotated[int, Meta(ge=0, le=60_000)] = 500
    """How far behind the newest event of its partition an event may be; later ones go to `sentinel.late`."""
    second_volume_min: Annotated[int, Meta(ge=1)] = 20
    """Calls that a 1 s window must hold to be judged by itself."""
    summaries: Literal["10s", "1m", "none"] = "1m"
    """Which windows are published on `sentinel.summaries`."""
    idle_ms: Annotated[int, Meta(ge=3_600_000)] = 7 * 86_400_000
    """Keys not seen for this long are forgotten."""
    detectors: tuple[AnyDetector, ...] = default_detectors()
    correlation: CorrelationSettings = CorrelationSettings()
