"""Settings of detection: what a user may configure of it; the defaults are the one default configuration."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from udfs.aggregates import OBSERVED
from udfs.correlation.settings import CorrelationSettings
from udfs.detector import Detector
from udfs.detectors.defaults import default_detectors
from udfs.event_columns import TelemetryFormat


class DetectionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How telemetry is judged. Times are event time in milliseconds."""

    telemetry_topic: str = "llm-telemetry"
    telemetry_format: TelemetryFormat = "json"
    """How its records are written; the job has it from its Kafka settings, a backtest from the file."""
    partitions: Annotated[int, Meta(ge=1)] = 1
    """Partitions of the telemetry topic; the job looks it up."""
    bound_ms: Annotated[int, Meta(ge=0, le=60_000)] = 500
    """How far behind the newest event of its partition an event may be; later ones go to `sentinel.late`."""
    future_max_ms: Annotated[int, Meta(ge=0, le=86_400_000)] | None = 60_000
    """How far ahead of the time at which the broker took it an event may be; others are refused. None: any."""
    drop_repeats: bool = False
    """Leave out an event whose `event_id` its partition had before; otherwise it counts as one more sample."""
    second_volume_min: Annotated[int, Meta(ge=1)] = 20
    """Calls that a 1 s window must hold to be judged by itself."""
    summaries: Literal["10s", "1m", "none"] = "1m"
    """Which windows are published on `sentinel.summaries`."""
    plugins: tuple[str, ...] = ()
    """Python files that define types of detectors, from the folder of the configuration; `detectors` uses them."""
    detectors: tuple[Detector, ...] = default_detectors()
    correlation: CorrelationSettings = CorrelationSettings()

    def __post_init__(self) -> None:
        """Check the detectors together; raises ValueError, naming the detector and what to change."""
        known = set()
        for detector in self.detectors:
            if detector.detector_id in known:
                raise ValueError(f"two detectors have the detector_id {detector.detector_id!r}; ids must differ")
            known.add(detector.detector_id)
            observed = OBSERVED.get((detector.on, detector.entity))
            if observed is None:
                places = ", ".join(f"{on} of {entity}" for on, entity in OBSERVED)
                raise ValueError(
                    f"detector {detector.detector_id!r} is on {detector.on} of {detector.entity}, which is not "
                    f"observed; there are {places}"
                )
            unknown = [metric for metric in detector.metrics if metric not in observed]
            if unknown:
                raise ValueError(
                    f"detector {detector.detector_id!r} watches {unknown[0]!r}, which is not observed on "
                    f"{detector.on} of {detector.entity}; there are {', '.join(observed)}"
                )
