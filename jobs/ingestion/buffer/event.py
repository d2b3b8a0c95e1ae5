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
    since_s: float
    """When it came, on the clock of the buffer."""
    receipt: "Receipt | None" = None
    settled: bool = False
    """Whether it was delivered or dropped."""

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self.key) + len(self.value) + EVENT_OVERHEAD_BYTES


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
