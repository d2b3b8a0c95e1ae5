"""The buffer between the servers and Kafka: first in, first out per tenant, fair between tenants, bounded in bytes."""

import time
from collections.abc import Callable, Iterable, Sequence
from threading import Event, Thread
from typing import Final

from jobs.ingestion.buffer.event import Keyed, Refusal, Unconfirmed, Waiting
from jobs.ingestion.buffer.files import Files
from jobs.ingestion.buffer.receipt import Receipt
from jobs.ingestion.buffer.settings import Ack, BufferSettings
from jobs.ingestion.buffer.state import State
from jobs.ingestion.buffer.store import Blocked, Store
from schemas.dead_letter import RejectReason
from udfs.ingestion.account import Account, Turned
from udfs.ingestion.room import Refuse

_RETRY_AFTER_S: Final = 2
_GATHER_S: Final = 0.001
"""So long events of several senders are gathered for one write to the disk."""
_WRITE_AGAIN_AFTER_S: Final = 0.5
_LEDGER_EVERY_S: Final = 1.0
_DETAILS: Final[dict[Turned, str]] = {
    Turned.RATE_LIMITED: "The tenant sends more than its limits allow: send less, or again later.",
    Turned.TENANT_FULL: "The buffer holds as much of this tenant as it may: send again later.",
    Turned.BUFFER_FULL: "The buffer is full: send again later.",
    Turned.DISK_FULL: "The disk of the buffer is full: send again later.",
    Turned.TENANTS_FULL: "The ledger has no room for another tenant: raise tenants_max, or free disk space.",
    Turned.CLOSING: "The service is being stopped: send again later, or to another instance.",
}


class Buffer:
    """Events of all tenants. Any thread may call, one at a time may `take`; what waits is a coroutine.

    `put` takes events in, `take` hands them out for delivery, `delivered`, `refused` and `give_back` say what became
    of those. A thread writes to the disk what has to be there.
    """

    def __init__(
        self, settings: BufferSettings, clock: Callable[[], float] = time.monotonic, files: Files | None = None
    ) -> None:
        """Open the folder and find what an earlier process left. Raises SentinelError if it cannot be used."""
        self._clock = clock
        self._store = Store(settings, clock, files or Files())
        self._closing = Event()
        self._writer = Thread(target=self._write_all, name="buffer-writer", daemon=True)
        self._writer.start()

    async def put(
        self, tenant: str, events: Sequence[Keyed], ack: Ack = Ack.ACCEPTED, *, deadline_s: float = 10.0
    ) -> Refusal | Unconfirmed | None:
        """Take all of the events or none; return None once they have reached the level `ack`.

        Every event given here is counted as received, and as rejected if it is refused.
        """
        if not events:
            return None
        asked_at_s = self._clock()
        receipt = None if ack is Ack.ACCEPTED else Receipt(len(events), kafka_only=ack is Ack.KAFKA)
        while isinstance(answer := self._store.offer(tenant, events, receipt), Blocked):
            left_s = min(deadline_s, answer.wait_s) - (self._clock() - asked_at_s)
            if left_s <= 0 or not await answer.room.reached(left_s):
                self._store.unblock(tenant, answer.room)
                return self.refuse(tenant, answer.reason, len(events))
        if isinstance(answer, Refuse):
            return Refusal(answer.reason, _DETAILS[answer.reason], _RETRY_AFTER_S)
        if receipt is None or await receipt.reached(deadline_s - (self._clock() - asked_at_s)):
            return None
        return Unconfirmed(f"The events are in the buffer, but not yet {ack.value}.", _RETRY_AFTER_S)

    def refuse(self, tenant: str, reason: Turned, events: int, retry_after_s: int = _RETRY_AFTER_S) -> Refusal:
        """Count events of a tenant as turned away, and return what its sender is told."""
        self.reject(tenant, reason, events)
        return Refusal(reason, _DETAILS[reason], retry_after_s)

    def reject(self, tenant: str, reason: RejectReason | Turned, events: int = 1) -> None:
        """Count events of a tenant as received and rejected."""
        self._store.reject(tenant, reason, events)

    def take(self, timeout_s: float) -> list[Waiting]:
        """Return the next events to deliver, of the tenant whose turn it is; empty if there are none in time.

        They are about 256 kB. Events of a tenant are taken in their order, and stay in the buffer until they are
        settled.
        """
        return self._store.take(timeout_s)

    def delivered(self, events: Iterable[Waiting]) -> None:
        """Note that events have arrived in Kafka."""
        self._store.delivered(events)

    def refused(self, events: Iterable[Waiting]) -> None:
        """Note that Kafka has refused events for good, and that they are in the dead letters."""
        self._store.refused(events)

    def give_back(self) -> None:
        """Put everything that was taken and is not settled back in its place: it will be taken again, in order."""
        self._store.give_back()

    def accounts(self) -> dict[str, Account]:
        """Return the account of every tenant, all of one instant."""
        return self._store.accounts()

    @property
    def buffered(self) -> int:
        """Events that are neither delivered nor dropped."""
        return self._store.buffered

    @property
    def memory_bytes(self) -> int:
        """Bytes of events in memory."""
        return self._store.memory_bytes

    def state(self) -> State:
        """Return how the buffer is."""
        return self._store.state()

    def oldest_age_s(self) -> float:
        """Return for how long the oldest event has waited, as `State` says it."""
        return self._store.oldest_age_s()

    def stop_taking_in(self) -> None:
        """Refuse all new events from now on; what is buffered can still be delivered."""
        self._store.stop_taking_in()

    def close(self) -> None:
        """Write what was not delivered to the disk, and close the files."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._store.stop_taking_in()
        self._writer.join()
        self._store.close()

    def _write_all(self) -> None:
        """Write to the disk what has to be there, until the buffer is closed; then everything."""
        ledger_at_s = self._clock()
        while not self._closing.is_set():
            self._store.wait_for_writing()
            time.sleep(_GATHER_S)
            self._store.write()
            if self._store.has_disk_problem:
                self._closing.wait(_WRITE_AGAIN_AFTER_S)
            if self._clock() - ledger_at_s >= _LEDGER_EVERY_S:
                self._store.flush_ledger()
                ledger_at_s = self._clock()
        while self._store.write(everything=True):
            pass
        self._store.flush_ledger()
