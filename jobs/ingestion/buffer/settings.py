"""How much the buffer holds, and for whom."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from udfs.ingestion.room import WhenFull

_MEGABYTE = 1024 * 1024


class Ack(StrEnum):
    """What the sender waits for."""

    ACCEPTED = "accepted"
    """The events are in memory. A crash can lose those that came in within the last `risk_ms`, and counts them."""
    DURABLE = "durable"
    """The events are on the disk (fsync) or acknowledged by Kafka, whichever comes first."""
    KAFKA = "kafka"
    """All in-sync replicas of Kafka have the events."""


class TenantRoom(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one tenant may have in the buffer, and what happens when that is full."""

    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """Of the bytes of memory and disk together."""
    when_full: WhenFull = WhenFull.NEWEST
    block_ms: Annotated[int, Meta(ge=0, le=60_000)] = 2_000
    """The longest wait for room in the share, with the policy `block`, and for memory, with any."""


class BufferSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes in bytes; `folder` belongs to one process at a time."""

    folder: Path
    memory_bytes: Annotated[int, Meta(ge=_MEGABYTE)] = 128 * _MEGABYTE
    """Events in memory, with what Python needs for them."""
    disk_bytes: Annotated[int, Meta(ge=4 * _MEGABYTE)] = 4096 * _MEGABYTE
    segment_bytes: Annotated[int, Meta(ge=64 * 1024)] = 16 * _MEGABYTE
    """One file of the log; as much again stays free on the disk as head-room."""
    risk_ms: Annotated[int, Meta(ge=1)] = 500
    """Events that have waited in memory for so long are written to the disk, whatever their sender waits for."""
    tenants_max: Annotated[int, Meta(ge=1, le=100_000)] = 10_000
    room: TenantRoom = TenantRoom()
    """For tenants that `tenants` does not name."""
    tenants: dict[str, TenantRoom] = {}
