"""The events of one tenant in their order: on their way, ready, only on the disk, and in memory behind those."""

from collections import deque
from collections.abc import Iterable

from jobs.ingestion.buffer.batch import Read, Written
from jobs.ingestion.buffer.event import EVENT_OVERHEAD_BYTES, Waiting
from jobs.ingestion.buffer.memory import Memory
from jobs.ingestion.buffer.receipt import Receipt
from jobs.ingestion.buffer.segment import Part
from jobs.ingestion.buffer.settings import TenantRoom
from jobs.ingestion.buffer.stretch import Stretch
from jobs.ingestion.ledger import Row
from udfs.ingestion.account import Drop
from udfs.ingestion.log_record import length_of


class TenantQueue:
    """First in, first out. Not locked: the buffer's lock is held by whoever calls."""

    def __init__(self, row: Row, room: TenantRoom, share_bytes: int, memory: Memory) -> None:
        self.row = row
        self.room = room
        self.share_bytes = share_bytes
        self.memory_bytes = 0
        self.disk_bytes = 0
        """Bytes that are on the disk alone."""
        self.recovered_last = 0
        """Events up to this number were found on the disk at the start; how old they are is not known."""
        self._memory = memory
        self._flying: deque[Waiting] = deque()
        """Taken for delivery; some in the middle may be settled already."""
        self._ready: deque[Waiting] = deque()
        self._disk: deque[Stretch] = deque()
        self._disk_events = 0
        self._tail: deque[Waiting] = deque()
        self._unlogged: deque[Waiting] = deque()
        """What is in memory and not on the disk, and not being written: the newest events."""
        self._tenant_bytes = len(row.tenant.encode())

    @property
    def tenant(self) -> str:
        """Whose events they are."""
        return self.row.tenant

    @property
    def held_bytes(self) -> int:
        """Bytes in memory and on the disk."""
        return self.memory_bytes + self.disk_bytes

    @property
    def buffered(self) -> int:
        """Events that are neither dropped nor delivered together with all before them."""
        return len(self._flying) + len(self._ready) + self._disk_events + len(self._tail)

    @property
    def can_send(self) -> bool:
        """Whether there is something to take for delivery."""
        return bool(self._ready or self._disk or self._tail)

    @property
    def has_ready(self) -> bool:
        """Whether something can be taken that is in memory to stay there."""
        return bool(self._ready)

    @property
    def overflows(self) -> bool:
        """Whether new events have to go behind some that are on the disk, or are going there."""
        return bool(self._disk or self._tail)

    @property
    def oldest_since_s(self) -> float | None:
        """Since when the oldest event waits; None if there is none, -inf if it is of an earlier process."""
        oldest = next((each for each in (self._flying, self._ready, self._disk, self._tail) if each), None)
        if oldest is None:
            return None
        return float("-inf") if self.row.settled < self.recovered_last else oldest[0].since_s

    def push(self, events: list[Waiting], size: int, *, spills: bool) -> None:
        """Append new events of `size` bytes; if they spill they will leave the memory once they are on the disk."""
        (self._tail if spills else self._ready).extend(events)
        self._unlogged.extend(events)
        self._use(size)

    def take(self, bytes_max: int) -> tuple[list[Waiting], int]:
        """Move the next events in memory to those on their way; return them and their bytes."""
        if not self._ready and not self._disk:
            self._ready, self._tail = self._tail, self._ready
        taken: list[Waiting] = []
        size = 0
        ready = self._ready
        while ready and size + ready[0].size <= bytes_max:
            waiting = ready.popleft()
            self._flying.append(waiting)
            if not waiting.settled:
                waiting.taken = True
                size += waiting.size
                taken.append(waiting)
            self._memory.flying += 1
        self._pop_settled()
        return taken, size

    def next_stretch(self) -> Stretch | None:
        """Return what has to be read from the disk before something can be taken, if anything has."""
        return self._disk[0] if self._disk and not self._ready else None

    def refill(self, stretch: Stretch, read: list[Read]) -> None:
        """Take over what was read of the stretch; nothing means that the rest of it is damaged."""
        if not self._disk or self._disk[0] is not stretch:
            return  # It was dropped meanwhile.
        for number, key, value in read:
            size = len(key) + len(value) + EVENT_OVERHEAD_BYTES
            self._ready.append(Waiting(self.tenant, number, key, value, size, stretch.since_s, logged=True))
            self._use(size)
            size = length_of(self._tenant_bytes, len(key), len(value))
            stretch.size -= size
            self.disk_bytes -= size
        if read:
            stretch.after = read[-1].number
            self._disk_events -= len(read)
            stretch.events -= len(read)
        if not read or stretch.events == 0:
            self._lose(stretch, Drop.DAMAGED)

    def give_back(self) -> None:
        """Put everything that is on its way back in front, in order: it will be sent again."""
        for waiting in self._flying:
            waiting.taken = False
        self._ready.extendleft(reversed(self._flying))
        self._memory.flying -= len(self._flying)
        self._flying.clear()

    def settle(self, events: Iterable[Waiting], *, refused: bool) -> list[Receipt]:
        """Note that events on their way have arrived or were refused; return what their senders wait for."""
        told = []
        for waiting in events:
            # A report can come late, when the event was given back.
            if waiting.settled or not waiting.taken:
                continue
            waiting.settled = True
            waiting.refused = refused
            if waiting.receipt is not None and waiting.receipt.reach():
                told.append(waiting.receipt)
        self._pop_settled()
        return told

    def drop_oldest(self, bytes_: int, memory_bytes: int) -> list[Receipt]:
        """Give up the oldest events that are not on their way, and return what their senders wait for.

        So many are given up that `bytes_` of memory and disk and `memory_bytes` of memory are free; what is on the disk
        goes a stretch at a time.
        """
        goal, memory_goal = self.held_bytes - bytes_, self.memory_bytes - memory_bytes
        failed: list[Receipt] = []
        while self.held_bytes > goal or self.memory_bytes > memory_goal:
            if not self._ready and self._disk:
                stretch = self._disk[0]
                self.row.give_up(stretch.after, stretch.last)
                self._lose(stretch, Drop.OLDEST)
            elif self._ready or self._tail:
                waiting = (self._ready or self._tail).popleft()
                if waiting.settled:
                    self._flying.append(waiting)
                    self._memory.flying += 1
                    continue
                waiting.settled = True
                if waiting.receipt is not None:
                    failed.append(waiting.receipt)
                self._use(-waiting.size)
                last = waiting.passes or waiting.number
                self.row.give_up(waiting.number - 1, last)
                self.row.dropped(Drop.OLDEST, 1)
                self._pass(last)
            else:
                break
        self._forget_settled()
        return failed

    def unlogged_since_s(self) -> float | None:
        """Return since when the oldest event that is not on the disk waits."""
        return self._unlogged[0].since_s if self._unlogged else None

    def tail_since_s(self) -> float | None:
        """Return since when the oldest event that is to leave the memory waits."""
        return self._tail[0].since_s if self._tail else None

    def collect(self, bytes_max: int) -> tuple[list[Waiting], int]:
        """Return the oldest events that are not on the disk; they have to be given to `logged` or `not_logged`."""
        group: list[Waiting] = []
        size = 0
        while self._unlogged and size < bytes_max:
            waiting = self._unlogged.popleft()
            if not waiting.settled:
                group.append(waiting)
                size += waiting.size
        return group, size

    def logged(self, written: Written, part: Part) -> list[Receipt]:
        """Note what is on the disk now: it may leave the memory; return what its senders wait for."""
        told: list[Receipt] = []
        for waiting in written.events:
            waiting.logged = True
            receipt = waiting.receipt
            if receipt is not None and not receipt.kafka_only and not waiting.settled:
                waiting.receipt = None
                if receipt.reach():
                    told.append(receipt)
        told.extend(self._evict(part))
        return told

    def not_logged(self, events: list[Waiting]) -> None:
        """Put events that could not be written back in front of those that are not on the disk."""
        self._unlogged.extendleft(reversed(events))

    def recovered(self, part: Part, since_s: float) -> None:
        """Append what an earlier process left on the disk."""
        stretch = Stretch(part, part.first - 1, since_s)
        stretch.last, stretch.events, stretch.size = part.last, part.events, part.size
        self._disk.append(stretch)
        self._disk_events += part.events
        self.disk_bytes += part.size
        self.recovered_last = part.last
        self.row.last = max(self.row.last, part.last)

    def _evict(self, part: Part) -> list[Receipt]:
        failed = []
        while self._tail and self._tail[0].logged:
            waiting = self._tail.popleft()
            if not self._disk and not self._memory.is_tight:
                # It was tight when this came, and is no longer.
                self._ready.append(waiting)
                continue
            if not self._disk or self._disk[-1].part is not part:
                self._disk.append(Stretch(part, waiting.number - 1, waiting.since_s))
            stretch = self._disk[-1]
            size = length_of(self._tenant_bytes, len(waiting.key), len(waiting.value))
            stretch.last = waiting.number
            stretch.events += 1
            stretch.size += size
            self._disk_events += 1
            self.disk_bytes += size
            self._use(-waiting.size)
            if waiting.receipt is not None:
                # Who waits for Kafka would wait for all that is before it on the disk.
                failed.append(waiting.receipt)
        return failed

    def _lose(self, stretch: Stretch, reason: Drop) -> None:
        """Remove the first stretch; what is left of it is lost."""
        self._disk.popleft()
        self.disk_bytes -= stretch.size
        if stretch.events:
            self._disk_events -= stretch.events
            self.row.dropped(reason, stretch.events)
            self._pass(stretch.last)

    def _pass(self, number: int) -> None:
        """Let everything up to this number be settled as soon as what is before it is."""
        if self._ready and self._ready[-1].number < number:
            self._ready[-1].passes = number
        elif self._flying:
            self._flying[-1].passes = number
        else:
            self.row.settled = number

    def _pop_settled(self) -> None:
        flying, last, events, refused, size = self._flying, 0, 0, 0, 0
        while flying and flying[0].settled:
            waiting = flying.popleft()
            last = waiting.passes or waiting.number
            events += 1
            refused += waiting.refused
            size += waiting.size
        if events:
            self.row.settled = last
            self.row.delivered(events - refused)
            self.row.dropped(Drop.REFUSED, refused)
            self._use(-size)
            self._memory.flying -= events
        self._forget_settled()

    def _forget_settled(self) -> None:
        while self._unlogged and self._unlogged[0].settled:
            self._unlogged.popleft()

    def _use(self, bytes_: int) -> None:
        self.memory_bytes += bytes_
        self._memory.used_bytes += bytes_
