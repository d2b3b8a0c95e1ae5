"""Peer: what can be put beside LLM-Sentinel, started, killed and restarted for one measurement."""

from pathlib import Path
from typing import Protocol

from msgspec import Struct


class Task(Struct, frozen=True, kw_only=True):
    """What a peer is started for."""

    bootstrap_servers: str
    calls: str
    """The topic of telemetry, 4 partitions."""
    found: str
    """The topic for results, empty at the start; also a name that no other measurement has."""
    folder: Path
    """For state; not there at the start."""
    logs: Path
    """For logs, which stay."""


class Running(Protocol):
    """A peer at work."""

    def pids(self) -> list[int]:
        """Return its processes; their children count as well."""

    def check(self) -> None:
        """Raise SentinelError if a process has ended by itself."""

    def kill(self) -> None:
        """Kill every process that works on records, as a crash of the machine would."""

    def restart(self) -> None:
        """Start it again as after a crash, with the state that it has kept."""

    def stop(self) -> None:
        """End it for good."""


class Peer(Protocol):
    """One row of the table."""

    @property
    def name(self) -> str:
        """Return what `--peers` calls it."""

    @property
    def way(self) -> str:
        """Return how it keeps state and offsets."""

    @property
    def warm_up_ms(self) -> int:
        """Return the event time before it can tell of a planted call."""

    @property
    def judges_calls(self) -> bool:
        """Return whether it has the two detections; otherwise its latency is one of windows, and not comparable."""

    def title(self) -> str:
        """Return its name and version."""

    def found_topic(self, measurement: str) -> str:
        """Return the topic that it writes results to in a measurement of this name."""

    def start(self, task: Task) -> Running:
        """Start it. Raises SentinelError if it cannot be installed or started."""
