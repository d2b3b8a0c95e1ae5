"""What the buffer holds of all tenants, and every change of it: no threads, no waiting, no disk."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from jobs.ingestion.buffer.batch import Written
from jobs.ingestion.buffer.event import EVENT_OVERHEAD_BYTES, Keyed, Waiting
from jobs.ingestion.buffer.memory import Memory
from jobs.ingestion.buffer.receipt import Receipt
from jobs.ingestion.buffer.segment import Part
from jobs.ingestion.buffer.settings import BufferSettings
from jobs.ingestion.buffer.stretch import Stretch
from jobs.ingestion.buffer.tenant_queue import TenantQueue
from jobs.ingestion.ledger import Ledger
from udfs.ingestion.account import Account, Turned
from udfs.ingestion.fair_queue import FairQueue
from udfs.ingestion.room import Refuse, Take, Wait, room_in_memory, room_in_share, spills

_QUANTUM_BYTES: Final = 256 * 1024
_GROUP_BYTES: Final = 4 * 1024 * 1024
_SPILL_AFTER_S: Final = 0.02


class Queues:
    """The queues of all tenants. Not locked: the buffer's lock is held by whoever calls."""

    def __init__(self, settings: BufferSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._queues: dict[str, TenantQueue] = {}
        self._fair = FairQueue(_QUANTUM_BYTES)
        self._memory = Memory(settings.memory_bytes)
        self._urgent: dict[str, TenantQueue] = {}
        """Tenants with a sender that waits for the disk."""
        self._holding: set[str] = set()
        """Tenants with something in the buffer."""
        self._spilling = False
        """Whether something is to leave the memory."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of events in memory."""
        return self._memory.used_bytes

    @property
    def buffered(self) -> int:
        """Events that are neither delivered nor dropped."""
        return sum(self._queues[tenant].buffered for tenant in self._holding)

    def queue(self, tenant: str) -> TenantQueue | None:
        """Return the tenant's queue; None if the ledger takes no more tenants."""
        queue = self._queues.get(tenant)
        if queue is None and (row := self._ledger.row(tenant)) is not None:
            room = self._settings.tenants.get(tenant, self._settings.room)
            share_bytes = int(room.share * (self._settings.memory_bytes + self._settings.disk_bytes))
            queue = self._queues[tenant] = TenantQueue(row, room, share_bytes, self._memory)
        return queue

    def decide(
        self, queue: TenantQueue, size: int, *, index_bytes: int, waits_for_disk: bool, disk_is_full: bool, now_s: float
    ) -> Take | Wait | Refuse:
        """Return whether there is room for `size` bytes of new events, beside `index_bytes` that the log needs."""
        if disk_is_full and waits_for_disk and self._is_stuck(queue, now_s):
            return Refuse(Turned.DISK_FULL)
        when_full = queue.room.when_full
        decision = room_in_share(size, queue.held_bytes, queue.share_bytes, when_full)
        if not isinstance(decision, Take):
            return decision
        used_bytes, memory_bytes = self.memory_bytes + index_bytes, self._settings.memory_bytes
        return room_in_memory(decision, size, used_bytes, memory_bytes, when_full, disk_is_full=disk_is_full)

    def push(
        self, queue: TenantQueue, events: Sequence[Keyed], size: int, receipt: Receipt | None, now_s: float
    ) -> None:
        """Append new events of a tenant, which will take `size` bytes of memory."""
        tenant, last = queue.tenant, queue.row.last
        self._holding.add(tenant)
        queue.row.received(len(events))
        queue.row.last = last + len(events)
        spilling = queue.overflows or spills(
            queue.memory_bytes + size, len(self._holding), self.memory_bytes + size, self._settings.memory_bytes
        )
        waiting = [
            Waiting(tenant, number, key, value, len(key) + len(value) + EVENT_OVERHEAD_BYTES, now_s, receipt)
            for number, (key, value) in enumerate(events, start=last + 1)
        ]
        queue.push(waiting, size, spills=spilling)
        self._fair.join(tenant)
        self._spilling |= spilling
        if receipt is not None and not receipt.kafka_only:
            self._urgent[tenant] = queue

    def take(self) -> list[Waiting] | tuple[TenantQueue, Stretch]:
        """Return the next events of the tenant whose turn it is, or what has to be read first; empty for nothing.

        While memory is tight nothing is read, and what is to leave it is left to do so, unless nothing is on its way
        whose arrival would change that.
        """
        passed_over = 0
        while passed_over < len(self._fair) and (turn := self._fair.turn()) is not None:
            queue = self._queues[turn[0]]
            if self._memory.is_tight and self._memory.flying and not queue.has_ready:
                passed_over += 1
                self._fair.served(turn[1], has_more=True)
                continue
            if (stretch := queue.next_stretch()) is not None:
                return queue, stretch
            taken, size = queue.take(turn[1])
            if not queue.buffered:
                self._holding.discard(queue.tenant)
            self._fair.served(size, has_more=queue.can_send)
            if taken:
                return taken
        return []

    def settle(self, events: Iterable[Waiting], *, refused: bool) -> tuple[list[Receipt], set[str]]:
        """Note that events on their way have arrived or were refused.

        Returns what senders wait for, and the tenants that have more room now.
        """
        told: list[Receipt] = []
        tenants = set()
        for tenant, group in groupby(events, lambda waiting: waiting.tenant):
            told.extend(self._queues[tenant].settle(group, refused=refused))
            tenants.add(tenant)
        self._holding -= {tenant for tenant in tenants if not self._queues[tenant].buffered}
        return told, tenants

    def give_back(self) -> None:
        """Put everything that was taken and is not settled back in its place."""
        for tenant in self._holding:
            queue = self._queues[tenant]
            queue.give_back()
            if queue.can_send:
                self._fair.join(tenant)

    def collect(self, now_s: float, *, everything: bool = False) -> dict[str, list[Waiting]]:
        """Return the events that are to be written to the disk now, by tenant, in their order.

        Those are the events of senders that wait for it, what is to leave the memory, and what has been in memory alone
        for too long; of each tenant with all that is before it, so that the log has its order.
        """
        group: dict[str, list[Waiting]] = {}
        size = 0
        for queue in self._due(now_s, everything=everything):
            if size >= _GROUP_BYTES:
                break
            self._urgent.pop(queue.tenant, None)
            events, bytes_ = queue.collect(_GROUP_BYTES - size)
            size += bytes_
            if events:
                group[queue.tenant] = events
            if size >= _GROUP_BYTES:
                self._urgent[queue.tenant] = queue
        return group

    def logged(self, written: Iterable[tuple[Written, Part]], group: dict[str, list[Waiting]]) -> list[Receipt]:
        """Note which of a collected group are on the disk now; the others wait for another attempt."""
        told: list[Receipt] = []
        for each, part in written:
            told.extend(self._queues[each.tenant].logged(each, part))
        for tenant, events in group.items():
            rest = [event for event in events if not event.logged]
            if rest:
                self._queues[tenant].not_logged(rest)
                if any(event.receipt is not None for event in rest):
                    self._urgent[tenant] = self._queues[tenant]
        return told

    def next_write_in_s(self) -> float:
        """Return after how many seconds there may be something to write."""
        if self._urgent:
            return 0.0
        if self._spilling:
            return _SPILL_AFTER_S
        return self._settings.risk_ms / 2_000

    def holding(self, queue: TenantQueue) -> None:
        """Note that a queue holds events that were not pushed."""
        self._holding.add(queue.tenant)
        self._fair.join(queue.tenant)

    def accounts(self) -> dict[str, Account]:
        """Return the account of every tenant."""
        return {
            row.tenant: row.account(queue.buffered if (queue := self._queues.get(row.tenant)) else 0)
            for row in self._ledger
            if row is not self._ledger.unlisted or row.is_used
        }

    def oldest_since_s(self) -> float | None:
        """Return since when the oldest event waits; None if there is none, -inf if it is of an earlier process."""
        waits = (self._queues[tenant].oldest_since_s for tenant in self._holding)
        return min((since_s for since_s in waits if since_s is not None), default=None)

    def _due(self, now_s: float, *, everything: bool) -> list[TenantQueue]:
        due = dict(self._urgent)
        self._spilling = False
        for tenant in self._holding:
            queue = self._queues[tenant]
            since_s, tail_s = queue.unlogged_since_s(), queue.tail_since_s()
            self._spilling |= tail_s is not None
            if since_s is not None and (
                everything
                or now_s - since_s >= self._settings.risk_ms / 1_000
                or (tail_s is not None and now_s - tail_s >= _SPILL_AFTER_S)
            ):
                due[tenant] = queue
        return list(due.values())

    def _is_stuck(self, queue: TenantQueue, now_s: float) -> bool:
        since_s = queue.oldest_since_s
        return since_s is not None and now_s - since_s > 1.0
