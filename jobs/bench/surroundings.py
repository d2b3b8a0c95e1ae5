"""Surroundings: on what machine, in which versions and with which configuration a figure was taken."""

import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec import Struct, to_builtins

from jobs.detection.settings import JobSettings
from jobs.stack.flink_settings import read_settings
from jobs.stack.java import find_java
from jobs.stack.layout import Layout, archives
from jobs.topics import TELEMETRY

_PACKAGES: Final = ("llm-sentinel", "apache-flink", "numpy", "numba", "msgspec", "confluent-kafka")
_FLINK_KEYS: Final = (
    "parallelism.default",
    "execution.checkpointing.interval",
    "state.backend.type",
    "python.execution-mode",
    "execution.buffer-timeout.interval",
    "taskmanager.memory.task.heap.size",
)


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a figure is worth nothing without."""

    machine: dict[str, object]
    versions: dict[str, str]
    configuration: dict[str, object]


def surroundings(layout: Layout, settings: JobSettings, load_before: float) -> Surroundings:
    """Return them for a stack that runs; `load_before` is the machine's load average before it was started."""
    flink = read_settings(layout.flink / "conf" / "config.yaml")
    return Surroundings(
        machine={
            "processor": processor(Path("/proc/cpuinfo")),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": platform.platform(),
            "load_before": round(load_before, 2),
        },
        versions={
            "python": platform.python_version(),
            "java": java_version(Path(find_java())),
            "kafka": jar_version((jar.name for jar in archives("kafka").glob("kafka_*.jar")), "kafka"),
            **{name: version(name) for name in _PACKAGES},
        },
        configuration={
            "partitions": TELEMETRY.partitions,
            "tick_ms": settings.tick_ms,
            "format": settings.kafka.telemetry_format,
            "exactly_once": settings.kafka.exactly_once,
            "bound_ms": settings.detection.bound_ms,
            "detectors": detectors(settings),
            **{key: flink[key] for key in _FLINK_KEYS},
        },
    )


def detectors(settings: JobSettings) -> list[str]:
    """Return the ids of the configured detectors."""
    return [each["detector_id"] for each in to_builtins(settings.detection.detectors)]


def processor(cpuinfo: Path) -> str:
    """Return the processor's name as the system gives it."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1] if found else platform.machine()


def java_version(java: Path) -> str:
    """Return the version that the JDK of a `java` says of itself in its file `release`."""
    release = java.resolve().parents[1] / "release"
    found = re.search(r'JAVA_VERSION="([^"]+)"', release.read_text()) if release.is_file() else None
    return found[1] if found else "unknown"


def jar_version(names: Iterable[str], artifact: str) -> str:
    """Return the version in the name of an archive such as `kafka_2.13-4.3.1.jar`."""
    for name in names:
        found = re.fullmatch(rf"{artifact}_[\d.]+-([\d.]+)\.jar", name)
        if found:
            return found[1]
    return "unknown"
