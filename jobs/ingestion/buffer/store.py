"""The buffer without a thread of its own: what it holds, on the disk and in memory, and the lock around that."""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from threading import Condition, Lock
from typing import Final

from jobs.errors import SentinelError
from jobs.ingestion.buffer.event import EVENT_OVERHEAD_BYTES, Keyed, Waiting
from jobs.ingestion.buffer.files import Files
from jobs.ingestion.buffer.folder import hold
from jobs.ingestion.buffer.log import DiskFullError, Log
from jobs.ingestion.buffer.queues import Queues
from jobs.ingestion.buffer.receipt import Receipt, tell_all
from jobs.ingestion.buffer.settings import BufferSettings
from jobs.ingestion.buffer.state import State
from jobs.ingestion.buffer.tenant_queue import TenantQueue
from jobs.ingestion.ledger import Ledger
from schemas.dead_letter import RejectReason
from udfs.ingestion.account import Account, Turned
from udfs.ingestion.log_record import Damage
from udfs.ingestion.room import Refuse, Take, Wait

_READ_BYTES: Final = 256 * 1024


class Blocked:
    """There is no room now; `room` is told when there may be."""

    __slots__ = ("reason", "room", "wait_s")

    def __init__(self, reason: Turned, wait_s: float, room: Receipt) -> None:
        self.reason = reason
        self.wait_s = wait_s
        self.room = room


class Store:
    """Events of all tenants. Any thread may call; only one may `take`, and only one may `write`.

    The ledger balances whenever the lock is free.
    """

    def __init__(self, settings: BufferSettings, clock: Callable[[], float], files: Files) -> None:
        """Open the folder and find what an earlier process left. Raises SentinelError if it cannot be used."""
        self._settings = settings
        self._clock = clock
        self._folder = hold(settings.folder)
        self._lock = Lock()
        self._something_to_take = Condition(self._lock)
        self._something_to_write = Condition(self._lock)
        self._ledger = Ledger(settings.folder / "ledger", settings.tenants_max)
        self._log = Log(settings.folder / "log", settings.segment_bytes, settings.disk_bytes, files)
        self._queues = Queues(settings, self._ledger)
        # Little beside the half of the memory that is for what is on its way to the disk and back.
        self._read_bytes = min(_READ_BYTES, settings.memory_bytes // 16)
        self._blocked: dict[str, list[Receipt]] = {}
        self._takers = 0
        self._nap_s = 0.0
        """How long the writer waits unless it is woken; 0 while it is awake."""
        self._takes_in = True
        self._is_open = True
        self._disk_problem = ""
        self._disk_is_full = False
        self._recovered = self._recover()

    def offer(self, tenant: str, events: Sequence[Keyed], receipt: Receipt | None) -> Take | Blocked | Refuse:
        """Take all of the events or none, if there is room; `receipt` is told when they have reached its level."""
        size = sum(len(event.key) + len(event.value) for event in events) + EVENT_OVERHEAD_BYTES * len(events)
        failed: list[Receipt] = []
        with self._lock:
            if not self._is_open:
                return Refuse(Turned.CLOSING)
            queue = self._queues.queue(tenant)
            if queue is None:
                self._ledger.unlisted.rejected(Turned.TENANTS_FULL, len(events))
                return Refuse(Turned.TENANTS_FULL)
            now_s = self._clock()
            decision = self._decide(queue, size, receipt, now_s)
            match decision:
                case Refuse(reason):
                    queue.row.rejected(reason, len(events))
                    return decision
                case Wait(reason):
                    room = Receipt(0, kafka_only=False)
                    self._blocked.setdefault(tenant, []).append(room)
                    return Blocked(reason, queue.room.block_ms / 1_000, room)
                case Take(drop_bytes, drop_memory_bytes):
                    if drop_bytes or drop_memory_bytes:
                        failed = queue.drop_oldest(drop_bytes, drop_memory_bytes)
                        self._let_go(tenant)
            self._queues.push(queue, events, size, receipt, now_s)
            if self._takers:
                self._something_to_take.notify()
            if self._queues.next_write_in_s() < self._nap_s:
                self._something_to_write.notify()
        tell_all(failed)
        return decision

    def reject(self, tenant: str, reason: RejectReason | Turned, events: int = 1) -> None:
        """Count events of a tenant as received and rejected."""
        with self._lock:
            (self._ledger.row(tenant) or self._ledger.unlisted).rejected(reason, events)

    def take(self, timeout_s: float) -> list[Waiting]:
        """Return the next events to deliver, of the tenant whose turn it is; empty if there are none in time.

        They are about 256 kB. Events of a tenant are taken in their order, and stay in the buffer until they are
        settled.
        """
        may_wait = True
        while True:
            with self._lock:
                taken = self._queues.take()
                if taken == [] and may_wait:
                    may_wait = False
                    self._takers += 1
                    self._something_to_take.wait(timeout_s)
                    self._takers -= 1
                    continue
                if isinstance(taken, list):
                    return taken
                queue, stretch = taken
                segment = stretch.part.segment
            # Not under the lock: a disk may be slow.
            read = self._log.read(queue.tenant, segment, stretch.after, stretch.last, self._read_bytes)
            with self._lock:
                queue.refill(stretch, read)

    def delivered(self, events: Iterable[Waiting]) -> None:
        """Note that events have arrived in Kafka."""
        self._settle(events, refused=False)

    def refused(self, events: Iterable[Waiting]) -> None:
        """Note that Kafka has refused events for good, and that they are in the dead letters."""
        self._settle(events, refused=True)

    def give_back(self) -> None:
        """Put everything that was taken and is not settled back in its place: it will be taken again, in order."""
        with self._lock:
            self._queues.give_back()
            self._something_to_take.notify()

    def accounts(self) -> dict[str, Account]:
        """Return the account of every tenant, all of one instant."""
        with self._lock:
            return self._queues.accounts()

    @property
    def buffered(self) -> int:
        """Events that are neither delivered nor dropped."""
        with self._lock:
            return self._queues.buffered

    @property
    def memory_bytes(self) -> int:
        """Bytes of events in memory."""
        return self._queues.memory_bytes

    def state(self) -> State:
        """Return how the buffer is."""
        with self._lock:
            return State(
                buffered=self._queues.buffered,
                memory_bytes=self._queues.memory_bytes,
                disk_bytes=self._log.size,
                oldest_age_s=self._oldest_age_s(),
                disk_problem=self._disk_problem,
                damaged_bytes=self._log.damaged_bytes,
                torn_bytes=self._log.torn_bytes,
                recovered=self._recovered,
            )

    def oldest_age_s(self) -> float:
        """Return for how long the oldest event has waited, as `State` says it."""
        with self._lock:
            return self._oldest_age_s()

    def stop_taking_in(self) -> None:
        """Refuse all new events from now on; what is buffered can still be delivered."""
        with self._lock:
            self._takes_in = False
            self._something_to_write.notify()

    def wait_for_writing(self) -> None:
        """Return when there may be something to write."""
        with self._lock:
            self._nap_s = self._queues.next_write_in_s()
            if self._nap_s:
                self._something_to_write.wait(self._nap_s)
            self._nap_s = 0.0

    def write(self, *, everything: bool = False) -> bool:
        """Bring to the disk what has to be there, or all; return whether something was there and could be written."""
        with self._lock:
            group = self._queues.collect(self._clock(), everything=everything)
        if not group:
            self._log.sweep()
            return False
        written, problem = self._log.append(event for events in group.values() for event in events)
        with self._lock:
            told = self._queues.logged([(each, self._log.note(each)) for each in written], group)
            for tenant in group:
                self._let_go(tenant)
            for tenant in list(self._blocked):
                told.extend(self._blocked.pop(tenant))
            self._disk_is_full = isinstance(problem, DiskFullError)
            self._disk_problem = "" if problem is None else str(problem.strerror)
        tell_all(told)
        self._log.sweep()
        if self._disk_is_full:
            self._make_room()
        return problem is None

    @property
    def has_disk_problem(self) -> bool:
        """Whether the last write failed."""
        return bool(self._disk_problem)

    def flush_ledger(self) -> None:
        """Bring the ledger to the disk, for the case that the machine loses power."""
        self._ledger.flush()

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._takes_in = self._is_open = False
            self._ledger.close()
            self._log.close()
            os.close(self._folder)

    def _decide(self, queue: TenantQueue, size: int, receipt: Receipt | None, now_s: float) -> Take | Wait | Refuse:
        if not self._takes_in:
            return Refuse(Turned.CLOSING)
        return self._queues.decide(
            queue,
            size,
            index_bytes=self._log.index_bytes,
            waits_for_disk=receipt is not None and not receipt.kafka_only,
            disk_is_full=self._disk_is_full,
            now_s=now_s,
        )

    def _let_go(self, tenant: str) -> None:
        if (row := self._ledger.row(tenant)) is not None:
            self._log.settle(tenant, row.settled)
            if row.given_up[1] > row.settled:
                self._log.give_up(tenant, *row.given_up)

    def _make_room(self) -> None:
        """Rewrite a segment of which much is settled, if there is one; the next write may then succeed."""
        # If not even that is possible, the reason is known already.
        with contextlib.suppress(OSError):
            if (both := self._log.rewrite()) is not None:
                with self._lock:
                    self._log.swap(*both)

    def _settle(self, events: Iterable[Waiting], *, refused: bool) -> None:
        with self._lock:
            told, tenants = self._queues.settle(events, refused=refused)
            for tenant in tenants:
                self._let_go(tenant)
                told.extend(self._blocked.pop(tenant, ()))
            if self._takers:
                # There may be memory now for what is on the disk.
                self._something_to_take.notify()
        tell_all(told)

    def _recover(self) -> int:
        """Find what an earlier process left, and make the accounts balance."""
        damaged: dict[str, int] = {}
        recovered: dict[str, int] = {}
        now_s = self._clock()
        for found, tenant in self._log.recover(self._is_gone):
            queue = self._queues.queue(tenant)
            if queue is None:
                problem = f"The buffer {self._settings.folder} holds events of more tenants than tenants_max: raise it."
                raise SentinelError(problem)
            if isinstance(found, Damage):
                damaged[tenant] = damaged.get(tenant, 0) + 1
                continue
            queue.recovered(found, now_s)
            recovered[tenant] = queue.buffered
            self._queues.holding(queue)
        for row in self._ledger:
            row.reconcile(recovered.get(row.tenant, 0), damaged.get(row.tenant, 0))
        return sum(recovered.values())

    def _is_gone(self, tenant: str, number: int) -> bool:
        row = self._ledger.row(tenant)
        return row is not None and row.is_gone(number)

    def _oldest_age_s(self) -> float:
        since_s = self._queues.oldest_since_s()
        return 0.0 if since_s is None else self._clock() - since_s

    def unblock(self, tenant: str, room: Receipt) -> None:
        """Note that a blocked sender waits no longer."""
        with self._lock:
            waiting = self._blocked.get(tenant, [])
            if room in waiting:
                waiting.remove(room)
