"""One event on its way through the buffer, and what its sender waits for."""

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from udfs.ingestion.account import Turned

if TYPE_CHECKING:
    from jobs.ingestion.buffer.receipt import Receipt

EVENT_OVERHEAD_BYTES: Final = 400
"""What Python needs for an event beside its key and value."""


class Keyed(NamedTuple):
    """The key (tenant and application) and the value of the Kafka record to be."""

    key: bytes
    value: bytes


class Waiting(Struct, gc=False, eq=False):
    """An event in memory."""

    tenant: str
    number: int
    """Its place among the events of its tenant, from 1."""
    key: bytes
    value: bytes
    size: int
    """Bytes of memory."""
    since_s: float
    """When it came, on the clock of the buffer."""
    receipt: "Receipt | None" = None
    taken: bool = False
    """Whether it is on its way."""
    settled: bool = False
    """Whether it was delivered, or refused for good; it stays until all before it are."""
    refused: bool = False
    logged: bool = False
    """Whether it is on the disk."""
    passes: int = 0
    """If not 0: the events after it up to this number were dropped, and are settled with it."""


class Refusal(Struct, frozen=True):
    """The events were not taken, all of them: they may be sent again after `retry_after_s`."""

    reason: Turned
    detail: str
    """One sentence for the sender."""
    retry_after_s: int

    @property
    def is_quota(self) -> bool:
        """Whether this tenant sends too much (429), not everyone (503)."""
        return self.reason in {Turned.RATE_LIMITED, Turned.TENANT_FULL}


class Unconfirmed(Struct, frozen=True):
    """The events are in the buffer, but the level asked for was not reached in time.

    They will be delivered unless the process dies before; the sender may send them again, repeats do no harm (503).
    """

    detail: str
    retry_after_s: int
