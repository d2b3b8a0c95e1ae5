"""What is written to the log at once, and what is read from it."""

from typing import NamedTuple

from jobs.ingestion.buffer.event import Waiting
from jobs.ingestion.buffer.segment import Segment


class Written(NamedTuple):
    """Events of a tenant that are now on the disk, in one segment."""

    tenant: str
    segment: Segment
    events: list[Waiting]


class Read(NamedTuple):
    """An event read from the disk."""

    number: int
    key: bytes
    value: bytes


class Batch:
    """Records on their way into one segment."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self._events: dict[str, list[Waiting]] = {}

    def add(self, event: Waiting, record: bytes) -> None:
        """Append the record of an event."""
        self.pieces.append(record)
        self.size += len(record)
        self._events.setdefault(event.tenant, []).append(event)

    def written(self, segment: Segment) -> list[Written]:
        """Return what was written to the segment, by tenant."""
        return [Written(tenant, segment, events) for tenant, events in self._events.items()]
