"""Handover: a bounded queue between the program and the thread that sends.

Putting into it takes a microsecond or two and never waits. What does not fit is counted, and the count is sent as soon
as something can be sent again.
"""

import atexit
import contextlib
import http.client
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, NamedTuple

from jobs.client.connection import Connection, default_address
from jobs.client.record import EVENTS, dropped_event

QUEUE_MAX: Final = 10_000
_BATCH_MAX: Final = 500
_LINGER_S: Final = 0.05
"""How long an item waits for others, unless there are enough of them."""
_RETRY_FIRST_S: Final = 0.1
_RETRY_LONGEST_S: Final = 5.0
_EXIT_S: Final = 1.0
"""What the end of the program waits for what is still in the queue."""
_TOO_MANY: Final = frozenset({429, 500, 502, 503, 504})


class Item(NamedTuple):
    """Something to send, not encoded yet."""

    path: str
    """Where to, `/v1/events` for instance; items of one path are sent together."""
    value: object
    encode: Callable[[list[object]], bytes]
    media_type: str


class Counts(NamedTuple):
    """What became of the items handed over by this process."""

    handed_over: int
    """Put into the queue."""
    sent: int
    dropped: int
    """Left out because the queue was full, or because the program ended first."""
    refused: int
    """Sent, and not wanted: they were faulty, or the credential is."""


class Handover:
    """The queue and its thread; the thread begins with the first item, in each process anew after a fork."""

    def __init__(self, address: str | None = None, *, api_key: str | None = None, queue_max: int = QUEUE_MAX) -> None:
        """Take where to send, by default `SENTINEL_ADDRESS` or the usual Unix socket of the sidecar."""
        self._address = address or default_address()
        self._api_key = api_key or os.environ.get("SENTINEL_API_KEY")
        self._queue_max = queue_max
        self._begin()
        _LIVING.add(self)

    def put(self, item: Item) -> None:
        """Hand an item over, or count it as dropped; never waits, never raises."""
        items = self._queue
        if items.qsize() >= self._queue_max or self._closing:
            with self._counting:
                self._overflowed += 1
            return
        with self._counting:
            self._handed_over += 1
        items.put(item)
        if not self._started:
            self._start()

    def counts(self) -> Counts:
        """Return what became of the items so far."""
        return Counts(self._handed_over, self._sent, self._overflowed + self._dropped, self._refused)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything handed over before was sent, refused or given up; return whether it was in time."""
        wanted = self._handed_over
        end = time.monotonic() + timeout_s
        with self._progress:
            return self._progress.wait_for(lambda: self._settled >= wanted, max(0.0, end - time.monotonic()))

    def close(self, timeout_s: float = _EXIT_S) -> None:
        """Send what is there, as far as the time allows, and end the thread; what is left is dropped."""
        self.flush(timeout_s)
        self._closing = True
        self._wake.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)

    # --- After a fork, and at the beginning ---------------------------------------------------------------------------

    def _begin(self) -> None:
        """Start from nothing: a child has a copy of its parent's queue, and the parent sends what is in that."""
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._starting = threading.Lock()
        # Reentrant: the collector may close an abandoned stream, which reports its call, while this is held.
        self._counting = threading.RLock()
        self._started = False
        self._thread: threading.Thread | None = None
        self._closing = False
        self._handed_over = self._overflowed = 0
        self._sent = self._dropped = self._refused = self._settled = 0

    def _start(self) -> None:
        with self._starting:
            if not self._started:
                self._started = True
                thread = threading.Thread(target=self._work, name="llm-sentinel", daemon=True)
                # At the end of an interpreter no thread can be started; what is left then is left.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    # --- In the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        connection = Connection(self._address, self._api_key)
        try:
            self._work_through(connection)
        finally:
            connection.close()

    def _work_through(self, connection: Connection) -> None:
        reported = 0
        while not self._closing:
            batch = self._batch()
            if batch is None:
                return
            for path in dict.fromkeys(item.path for item in batch):
                self._send(connection, [item for item in batch if item.path == path])
            if self._overflowed > reported and self._sent:
                count, reported = self._overflowed - reported, self._overflowed
                self._deliver(connection, EVENTS.path, EVENTS.encode([dropped_event(count)]), EVENTS.media_type)

    def _batch(self) -> list[Item] | None:
        """Return the next items, at least one; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        end = time.monotonic() + _LINGER_S
        while len(batch) < _BATCH_MAX:
            try:
                item = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                self._closing = True
                break
            batch.append(item)
        return batch

    def _send(self, connection: Connection, items: list[Item]) -> None:
        try:
            body = items[0].encode([item.value for item in items])
        except Exception:  # noqa: BLE001 - whatever a program puts into a call, its telemetry must not break anything
            self._settle(refused=len(items))
            return
        is_taken = self._deliver(connection, items[0].path, body, items[0].media_type)
        if is_taken is None:
            self._settle(dropped=len(items))
        elif is_taken:
            self._settle(sent=len(items))
        else:
            self._settle(refused=len(items))

    def _deliver(self, connection: Connection, path: str, body: bytes, media_type: str) -> bool | None:
        """Send until there is an answer: True for taken, False for refused, None when the program ends first."""
        wait_s = _RETRY_FIRST_S
        while not self._closing:
            asked_s = 0.0
            try:
                answer = connection.post(path, body, media_type)
            except (OSError, http.client.HTTPException):
                pass
            else:
                if answer.status not in _TOO_MANY:
                    return answer.status < 300  # noqa: PLR2004
                asked_s = answer.retry_after_s
            self._wake.wait(max(wait_s, asked_s))
            wait_s = min(wait_s * 2, _RETRY_LONGEST_S)
        return None

    def _settle(self, *, sent: int = 0, refused: int = 0, dropped: int = 0) -> None:
        with self._progress:
            self._sent += sent
            self._refused += refused
            self._dropped += dropped
            self._settled += sent + refused + dropped
            self._progress.notify_all()


_LIVING: Final[weakref.WeakSet[Handover]] = weakref.WeakSet()
_default: Handover | None = None


def default_handover() -> Handover:
    """Return the one that everything in this process shares."""
    global _default  # noqa: PLW0603 - one queue and one thread for a process, whoever asks
    if _default is None:
        _default = Handover()
    return _default


def _after_fork() -> None:
    for handover in list(_LIVING):
        handover._begin()  # noqa: SLF001


def _at_exit() -> None:
    for handover in list(_LIVING):
        if handover._started:  # noqa: SLF001
            handover.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
