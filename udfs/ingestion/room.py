"""Room for new events: take them, make room, wait, or refuse, as the tenant's policy says."""

from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from udfs.ingestion.account import Turned


class WhenFull(StrEnum):
    """What becomes of a tenant's events when its share of the buffer is full."""

    BLOCK = "block"
    """The sender waits for room until its deadline, then the new events are refused."""
    NEWEST = "newest"
    """The new events are refused at once."""
    OLDEST = "oldest"
    """The oldest events of the tenant are dropped for the new ones."""


class Take(Struct, frozen=True, tag=True):
    """Take the events, after the tenant's oldest ones are given up until so much is free."""

    drop_bytes: int = 0
    """Bytes of memory and disk."""
    drop_memory_bytes: int = 0
    """Bytes of memory."""


class Wait(Struct, frozen=True, tag=True):
    """Ask again when something has been delivered; at the deadline, refuse for this reason."""

    reason: Turned


class Refuse(Struct, frozen=True, tag=True):
    """Do not take the events."""

    reason: Turned


def room_in_share(size_bytes: int, held_bytes: int, share_bytes: int, when_full: WhenFull) -> Take | Wait | Refuse:
    """Decide about `size_bytes` of new events of a tenant that holds `held_bytes` of its `share_bytes`."""
    over = held_bytes + size_bytes - share_bytes
    if over <= 0:
        return Take()
    if size_bytes > share_bytes:
        return Refuse(Turned.TENANT_FULL)
    match when_full:
        case WhenFull.OLDEST:
            return Take(drop_bytes=over)
        case WhenFull.BLOCK:
            return Wait(Turned.TENANT_FULL)
        case WhenFull.NEWEST:
            return Refuse(Turned.TENANT_FULL)
    assert_never(when_full)


def room_in_memory(
    decision: Take, size_bytes: int, used_bytes: int, memory_bytes: int, when_full: WhenFull, *, disk_is_full: bool
) -> Take | Wait | Refuse:
    """Decide whether there is memory for new events that have room in their tenant's share.

    An eighth of `memory_bytes` stays for what is read back from the disk. As long as the disk takes events there will
    be memory soon, and every sender waits for it; if it is full, the tenant's policy decides.
    """
    if 8 * (used_bytes + size_bytes) <= 7 * memory_bytes:
        return decision
    if not disk_is_full:
        return Wait(Turned.BUFFER_FULL)
    reason = Turned.DISK_FULL
    match when_full:
        case WhenFull.OLDEST:
            return Take(drop_bytes=decision.drop_bytes, drop_memory_bytes=size_bytes)
        case WhenFull.BLOCK:
            return Wait(reason)
        case WhenFull.NEWEST:
            return Refuse(reason)
    assert_never(when_full)


def spills(tenant_bytes: int, tenants: int, used_bytes: int, memory_bytes: int) -> bool:
    """Return whether a tenant's new events, counted already, are to leave the memory for the disk.

    Half of the memory is for what waits in it, from a quarter on shared evenly by the `tenants` that have something.
    The other half is for what is on its way to the disk and back.
    """
    if 2 * used_bytes > memory_bytes:
        return True
    return 4 * used_bytes > memory_bytes and 2 * tenant_bytes * tenants > memory_bytes
