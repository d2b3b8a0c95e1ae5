"""Settings of the detection job: what stands in its configuration file, checked in one go."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from jobs.errors import SentinelError
from jobs.plugins.files import read_plugins
from schemas.json_schema import schema_of
from schemas.yaml_document import read_yaml
from udfs.detectors import AnyDetector, installed_detectors, union_of
from udfs.event_columns import TelemetryFormat
from udfs.plugins import compiled
from udfs.settings import DetectionSettings


class KafkaSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where telemetry comes from and what is found goes to."""

    bootstrap_servers: str = "127.0.0.1:9092"
    group: str = "sentinel-detection"
    telemetry_topic: str = "llm-telemetry"
    telemetry_format: TelemetryFormat = "json"
    startup: Literal["earliest-offset", "latest-offset", "group-offsets"] = "earliest-offset"
    exactly_once: bool = False
    """Sinks write in transactions: readers see results at the end of a checkpoint, not at once."""


class JobSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration file of the detection job."""

    kafka: KafkaSettings = KafkaSettings()
    tick_ms: Annotated[int, Meta(ge=5, le=1000)] = 25
    """How long records of a partition are gathered before they cross into Python: latency against throughput."""
    detection: DetectionSettings = DetectionSettings()


def configuration_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file, with the detectors that come with the product."""
    return schema_of(JobSettings, "configuration", detectors=AnyDetector)


def load(path: Path) -> JobSettings:
    """Return the settings in a YAML file; raises SentinelError naming file, place and problem."""
    try:
        return read(path.read_bytes(), path.parent)
    except OSError as error:
        problem = f"cannot read the configuration {path}: {error.strerror}"
        raise SentinelError(problem) from None
    except ValueError as error:
        problem = f"the configuration {path} is not valid: {' '.join(str(error).split())}"
        raise SentinelError(problem) from None


def read(document: bytes, folder: Path = Path()) -> JobSettings:
    """Return the settings in a YAML document; raises ValueError with what is wrong and where.

    Which types of detectors there are depends on the plug-ins, installed ones and those whose files the document names
    (from `folder`, if they are not absolute), so theirs is a second step.
    """
    raw = read_yaml(document)
    listed = (
        raw["detection"].pop("detectors", None) if isinstance(raw, dict) and _is_section(raw.get("detection")) else None
    )
    settings = msgspec.convert({} if raw is None else raw, JobSettings)
    own = read_plugins(folder / name for name in settings.detection.plugins)
    if listed is None:
        return settings
    try:
        detectors = msgspec.convert(listed, tuple[union_of(installed_detectors(own)), ...])  # type: ignore[misc]
    except msgspec.ValidationError as error:
        raise ValueError(f"detection.detectors: {error}") from None
    detection = msgspec.structs.replace(settings.detection, detectors=detectors)
    # What is wrong with the kernels of a file is told here, and not by a job that cannot begin.
    for detector in detectors:
        if type(detector) in own:
            compiled(detector, detector.metrics)
    return msgspec.structs.replace(settings, detection=detection)


def _is_section(part: object) -> bool:
    return isinstance(part, dict)
