"""The buffer between the servers and Kafka: first in, first out per tenant, fair between tenants, bounded in bytes."""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from threading import Condition, Lock
from typing import Final

from jobs.ingestion.buffer.event import EVENT_OVERHEAD_BYTES, Keyed, Refusal, Unconfirmed, Waiting
from jobs.ingestion.buffer.receipt import Receipt, tell_all
from jobs.ingestion.buffer.settings import Ack, BufferSettings
from jobs.ingestion.buffer.tenant_queue import TenantQueue
from jobs.ingestion.ledger import Ledger
from schemas.dead_letter import RejectReason
from udfs.ingestion.account import Account, Drop, Turned
from udfs.ingestion.fair_queue import FairQueue
from udfs.ingestion.room import Refuse, Take, Wait, room_in_share

_QUANTUM_BYTES: Final = 256 * 1024
_RETRY_AFTER_S: Final = 2
_DETAILS: Final[dict[Turned, str]] = {
    Turned.RATE_LIMITED: "The tenant sends more than its limits allow: send less, or again later.",
    Turned.TENANT_FULL: "The buffer holds as much of this tenant as it may: send again later.",
    Turned.BUFFER_FULL: "The buffer is full: send again later.",
    Turned.DISK_FULL: "The disk of the buffer is full: send again later.",
    Turned.TENANTS_FULL: "The ledger has no room for another tenant: raise tenants_max, or free disk space.",
    Turned.CLOSING: "The service is being stopped: send again later, or to another instance.",
}


class Buffer:
    """Events of all tenants. Any thread may call; what waits is a coroutine.

    `put` takes events in, `take` hands them out for delivery, `delivered`, `refused` and `give_back` say what became
    of those. The ledger balances whenever the lock is free.
    """

    def __init__(self, settings: BufferSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the folder. Raises SentinelError if it cannot be used."""
        settings.folder.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._clock = clock
        self._lock = Lock()
        self._something_to_take = Condition(self._lock)
        self._ledger = Ledger(settings.folder / "ledger", settings.tenants_max)
        self._queues: dict[str, TenantQueue] = {}
        self._fair = FairQueue(_QUANTUM_BYTES)
        self._memory_bytes = 0
        self._takers = 0
        self._blocked: dict[str, list[Receipt]] = {}
        self._closing = False

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
        while isinstance(answer := self._offer(tenant, events, receipt), _Blocked):
            left_s = min(deadline_s, answer.wait_s) - (self._clock() - asked_at_s)
            if left_s <= 0 or not await answer.room.reached(left_s):
                self._unblock(tenant, answer.room)
                return self.refuse(tenant, answer.reason, len(events))
        if answer is not None or receipt is None:
            return answer
        if await receipt.reached(deadline_s - (self._clock() - asked_at_s)):
            return None
        return Unconfirmed(
            f"The events are in the buffer, but not yet {ack.value} after {deadline_s:g} s.", _RETRY_AFTER_S
        )

    def refuse(self, tenant: str, reason: Turned, events: int, retry_after_s: int = _RETRY_AFTER_S) -> Refusal:
        """Count events of a tenant as turned away, and return what its sender is told."""
        self.reject(tenant, reason, events)
        return Refusal(reason, _DETAILS[reason], retry_after_s)

    def reject(self, tenant: str, reason: RejectReason | Turned, events: int = 1) -> None:
        """Count events of a tenant as received and rejected."""
        with self._lock:
            row = self._ledger.row(tenant)
            if row is not None:
                row.rejected(reason, events)

    def take(self, timeout_s: float) -> list[Waiting]:
        """Return the next events to deliver, of the tenant whose turn it is; empty if there are none in time.

        They are about 256 kB. Events of a tenant are taken in their order, and stay in the buffer until they are
        settled.
        """
        with self._lock:
            if not len(self._fair):
                self._takers += 1
                self._something_to_take.wait(timeout_s)
                self._takers -= 1
            while (turn := self._fair.turn()) is not None:
                tenant, allowed = turn
                queue = self._queues[tenant]
                taken, size = queue.take(allowed)
                self._fair.served(tenant, size, has_more=queue.can_send)
                if taken:
                    return taken
        return []

    def delivered(self, events: Iterable[Waiting]) -> None:
        """Note that events have arrived in Kafka."""
        self._settle(events, lambda queue, number: queue.row.delivered(number))

    def refused(self, events: Iterable[Waiting]) -> None:
        """Note that Kafka has refused events for good, and that they are in the dead letters."""
        self._settle(events, lambda queue, number: queue.row.dropped(Drop.REFUSED, number))

    def give_back(self) -> None:
        """Put everything that was taken and is not settled back in its place: it will be taken again, in order."""
        with self._lock:
            for queue in self._queues.values():
                before = queue.memory_bytes
                queue.give_back()
                self._memory_bytes -= before - queue.memory_bytes
                if queue.can_send:
                    self._fair.join(queue.tenant)
            self._something_to_take.notify()

    def accounts(self) -> dict[str, Account]:
        """Return the account of every tenant, all of one instant."""
        with self._lock:
            return {
                row.tenant: row.account(queue.buffered if (queue := self._queues.get(row.tenant)) else 0)
                for row in self._ledger
            }

    @property
    def memory_bytes(self) -> int:
        """Bytes of events in memory."""
        return self._memory_bytes

    @property
    def buffered(self) -> int:
        """Events that are neither delivered nor dropped."""
        with self._lock:
            return sum(queue.buffered for queue in self._queues.values())

    def oldest_age_s(self) -> float:
        """Return for how long the oldest event has waited; 0 if there is none."""
        with self._lock:
            oldest = (
                waiting.since_s for queue in self._queues.values() for waiting in (*(queue.flying or queue.ready),)[:1]
            )
            return max(0.0, self._clock() - min(oldest, default=self._clock()))

    def stop_taking_in(self) -> None:
        """Refuse all new events from now on; what is buffered can still be delivered."""
        with self._lock:
            self._closing = True

    def close(self) -> None:
        """Close the files. What was not delivered stays on the disk."""
        self.stop_taking_in()
        with self._lock:
            self._ledger.close()

    def _offer(self, tenant: str, events: Sequence[Keyed], receipt: Receipt | None) -> "Refusal | _Blocked | None":
        size = sum(len(event.key) + len(event.value) for event in events) + EVENT_OVERHEAD_BYTES * len(events)
        with self._lock:
            queue = self._queue(tenant)
            if queue is None:
                return Refusal(Turned.TENANTS_FULL, _DETAILS[Turned.TENANTS_FULL], _RETRY_AFTER_S)
            dropped: list[Waiting] = []
            match self._decide(queue, size):
                case Refuse(reason):
                    queue.row.rejected(reason, len(events))
                    return Refusal(reason, _DETAILS[reason], _RETRY_AFTER_S)
                case Wait(reason):
                    room = Receipt(0, kafka_only=False)
                    self._blocked.setdefault(tenant, []).append(room)
                    return _Blocked(reason, queue.room.block_ms / 1_000, room)
                case Take(drop_bytes):
                    if drop_bytes:
                        dropped = queue.drop_oldest(drop_bytes)
            self._push(queue, events, receipt)
            self._memory_bytes += size - sum(waiting.size for waiting in dropped)
            failed = [waiting.receipt for waiting in dropped if waiting.receipt is not None]
        tell_all(failed)
        return None

    def _push(self, queue: TenantQueue, events: Sequence[Keyed], receipt: Receipt | None) -> None:
        last, now_s, tenant = queue.row.last, self._clock(), queue.tenant
        queue.row.received(len(events))
        queue.row.last = last + len(events)
        for number, (key, value) in enumerate(events, start=last + 1):
            queue.push(Waiting(tenant, number, key, value, now_s, receipt))
        self._fair.join(tenant)
        if self._takers:
            self._something_to_take.notify()

    def _decide(self, queue: TenantQueue, size: int) -> Take | Wait | Refuse:
        if self._closing:
            return Refuse(Turned.CLOSING)
        decision = room_in_share(size, queue.held_bytes, queue.share_bytes, queue.room.when_full)
        freed = decision.drop_bytes if isinstance(decision, Take) else 0
        if isinstance(decision, Take) and self._memory_bytes - freed + size > self._settings.memory_bytes:
            return Refuse(Turned.BUFFER_FULL)
        return decision

    def _queue(self, tenant: str) -> TenantQueue | None:
        queue = self._queues.get(tenant)
        if queue is None:
            row = self._ledger.row(tenant)
            if row is None:
                return None
            room = self._settings.tenants.get(tenant, self._settings.room)
            queue = self._queues[tenant] = TenantQueue(row, room, int(room.share * self._settings.memory_bytes))
        return queue

    def _settle(self, events: Iterable[Waiting], count: Callable[[TenantQueue, int], None]) -> None:
        with self._lock:
            told: list[Receipt] = []
            for tenant, group in groupby(events, lambda waiting: waiting.tenant):
                # A report can come twice, or after the event was given back.
                settled = [waiting for waiting in group if not waiting.settled]
                queue = self._queues[tenant]
                self._memory_bytes -= queue.settle(settled)
                count(queue, len(settled))
                for waiting in settled:
                    if (receipt := waiting.receipt) is not None:
                        receipt.open -= 1
                        if receipt.open == 0:
                            told.append(receipt)
                told.extend(self._blocked.pop(tenant, ()))
        tell_all(told)

    def _unblock(self, tenant: str, room: Receipt) -> None:
        with self._lock:
            waiting = self._blocked.get(tenant, [])
            if room in waiting:
                waiting.remove(room)


class _Blocked:
    """There is no room now; `room` is told when there may be."""

    __slots__ = ("reason", "room", "wait_s")

    def __init__(self, reason: Turned, wait_s: float, room: Receipt) -> None:
        self.reason = reason
        self.wait_s = wait_s
        self.room = room
