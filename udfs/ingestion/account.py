"""Account of a tenant's events: what was received and what became of it, in numbers that must balance."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from msgspec import Struct

from schemas.dead_letter import RejectReason

_Reason = TypeVar("_Reason")


class Turned(StrEnum):
    """Why events were turned away although nothing was wrong with them: the sender was told, and may send again."""

    RATE_LIMITED = "rate_limited"
    """The tenant sends more than its limits allow."""
    TENANT_FULL = "tenant_full"
    """The tenant's share of the buffer is full."""
    BUFFER_FULL = "buffer_full"
    """The memory of the buffer is full, and the disk is too slow or too full to relieve it."""
    DISK_FULL = "disk_full"
    """The buffer needs the disk for these events, and it takes no more."""
    TENANTS_FULL = "tenants_full"
    """The ledger has no room for one more tenant."""
    CLOSING = "closing"
    """The process is being stopped."""


class Drop(StrEnum):
    """Why events that had been taken will not reach Kafka."""

    OLDEST = "oldest"
    """The tenant's policy gives up its oldest events for new ones."""
    CRASH = "crash"
    """They were in memory alone when the process died; some of them may have reached Kafka all the same."""
    DAMAGED = "damaged"
    """Their record on the disk does not match its checksum; its bytes are kept in quarantine."""
    REFUSED = "refused"
    """Kafka refuses them for good; they are in the dead letters."""


REJECTIONS: Final = (*RejectReason, *Turned)
"""Every reason for which events are rejected, in the order of the ledger's columns."""
DROPS: Final = tuple(Drop)
"""Every reason for which events are dropped, in the order of the ledger's columns."""


class Account(Struct, frozen=True):
    """What became of the events of a tenant, as numbers of events, at one instant."""

    received: int = 0
    delivered: int = 0
    """Those in Kafka, as far as everything before them is delivered or dropped too."""
    buffered: int = 0
    rejected: Mapping[RejectReason | Turned, int] = {}
    """By reason; reasons that never occurred are left out."""
    dropped: Mapping[Drop, int] = {}

    @property
    def unaccounted(self) -> int:
        """Events of which nobody knows what became: 0 at every instant, or there is an error in this program."""
        rejected, dropped = sum(self.rejected.values()), sum(self.dropped.values())
        return self.received - self.delivered - self.buffered - rejected - dropped

    def __add__(self, other: "Account") -> "Account":
        """Return the account of both together."""
        return Account(
            received=self.received + other.received,
            delivered=self.delivered + other.delivered,
            buffered=self.buffered + other.buffered,
            rejected=_sum(self.rejected, other.rejected),
            dropped=_sum(self.dropped, other.dropped),
        )


def _sum(one: Mapping[_Reason, int], other: Mapping[_Reason, int]) -> dict[_Reason, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in (*one, *(each for each in other if each not in one))}
