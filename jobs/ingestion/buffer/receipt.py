"""What a sender waits for: its events on the disk or in Kafka."""

import asyncio
import contextlib
from collections.abc import Iterable
from itertools import groupby
from typing import Final

_REACHED: Final = True
_GIVEN_UP: Final = False


class Receipt:
    """Counts the events of one request that have not yet reached the level asked for."""

    __slots__ = ("_future", "_loop", "kafka_only", "open")

    def __init__(self, events: int, *, kafka_only: bool) -> None:
        """Wait for so many events, in the running event loop."""
        self.open = events
        self.kafka_only = kafka_only
        """Whether the disk does not count."""
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[bool] = self._loop.create_future()

    def reach(self) -> bool:
        """Note that one more event has reached its level; return whether it was the last one."""
        self.open -= 1
        return self.open == 0

    async def reached(self, deadline_s: float) -> bool:
        """Return whether all events reached their level within the deadline."""
        # A third of the cost of `asyncio.wait_for`.
        deadline = self._loop.call_later(deadline_s, self.tell)
        try:
            return await self._future
        finally:
            deadline.cancel()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where its sender waits."""
        return self._loop

    def tell(self) -> None:
        """Wake the sender; in its own loop."""
        if not self._future.done():
            self._future.set_result(_REACHED if self.open == 0 else _GIVEN_UP)


def tell_all(receipts: Iterable[Receipt]) -> None:
    """Wake the senders of receipts, once per event loop; from any thread."""
    for loop, group in groupby(dict.fromkeys(receipts), lambda receipt: receipt.loop):
        # A loop that is closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell, list(group))


def _tell(receipts: list[Receipt]) -> None:
    for receipt in receipts:
        receipt.tell()
