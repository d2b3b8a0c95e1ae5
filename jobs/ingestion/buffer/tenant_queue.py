"""The events of one tenant in their order: on their way, ready, only on the disk, and behind those."""

from collections import deque
from collections.abc import Iterable

from jobs.ingestion.buffer.event import Waiting
from jobs.ingestion.buffer.settings import TenantRoom
from jobs.ingestion.ledger import Row
from udfs.ingestion.account import Drop


class TenantQueue:
    """First in, first out. Not locked: the buffer's lock is held by whoever calls."""

    def __init__(self, row: Row, room: TenantRoom, share_bytes: int) -> None:
        self.row = row
        self.room = room
        self.share_bytes = share_bytes
        self.memory_bytes = 0
        self.flying: deque[Waiting] = deque()
        """Taken for delivery; some in the middle may be settled already."""
        self.ready: deque[Waiting] = deque()
        self._flying_settled = 0

    @property
    def tenant(self) -> str:
        """Whose events they are."""
        return self.row.tenant

    @property
    def held_bytes(self) -> int:
        """Bytes in memory and on the disk."""
        return self.memory_bytes

    @property
    def buffered(self) -> int:
        """Events that are neither delivered nor dropped."""
        return len(self.flying) - self._flying_settled + len(self.ready)

    @property
    def can_send(self) -> bool:
        """Whether there is something to take for delivery."""
        return bool(self.ready)

    def push(self, waiting: Waiting) -> None:
        """Append a new event."""
        self.ready.append(waiting)
        self.memory_bytes += waiting.size

    def take(self, bytes_max: int) -> tuple[list[Waiting], int]:
        """Move the next events to those on their way; return them and their bytes."""
        taken: list[Waiting] = []
        size = 0
        ready = self.ready
        while ready and size + ready[0].size <= bytes_max:
            waiting = ready.popleft()
            size += waiting.size
            taken.append(waiting)
        self.flying.extend(taken)
        return taken, size

    def give_back(self) -> None:
        """Put everything that is on its way back in front, in order: it will be sent again."""
        unsettled = [waiting for waiting in self.flying if not waiting.settled]
        self.memory_bytes -= sum(waiting.size for waiting in self.flying if waiting.settled)
        self.flying.clear()
        self._flying_settled = 0
        self.ready.extendleft(reversed(unsettled))

    def settle(self, events: Iterable[Waiting]) -> int:
        """Note that events on their way have arrived or were given up; return the bytes of memory that are free now."""
        for waiting in events:
            waiting.settled = True
            self._flying_settled += 1
        freed, last = 0, 0
        flying = self.flying
        while flying and flying[0].settled:
            waiting = flying.popleft()
            last = waiting.number
            freed += waiting.size
            self._flying_settled -= 1
        if last:
            self.row.settled = last
        self.memory_bytes -= freed
        return freed

    def drop_oldest(self, bytes_: int) -> list[Waiting]:
        """Give up the oldest events that are not on their way, for so many bytes or more; return them."""
        dropped: list[Waiting] = []
        freed = 0
        while freed < bytes_ and self.ready:
            waiting = self.ready.popleft()
            waiting.settled = True
            freed += waiting.size
            dropped.append(waiting)
        self.memory_bytes -= freed
        self.row.dropped(Drop.OLDEST, len(dropped))
        return dropped
