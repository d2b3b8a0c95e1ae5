"""Publishing: records that wait in the outbox are written to Kafka, in order, and leave it when Kafka has them."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from jobs.dispatch.core import Batch
from jobs.dispatch.engine import Engine
from jobs.dispatch.outbox.changes import Publish, Published
from jobs.dispatch.outbox.store import DeposedError

LOG = logging.getLogger("dispatch.publishing")
_POLL_S: Final = 0.1
_LARGEST_BYTES: Final = 12 * 1024 * 1024
_CLOSE_S: Final = 5.0


class Publisher:
    """Writes the records that a batch wants published. A crash repeats the last ones, with the same content."""

    def __init__(self, engine: Engine, bootstrap_servers: str) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                # As long as Kafka is away: what is promised to be written is kept.
                "message.timeout.ms": 0,
                "message.max.bytes": _LARGEST_BYTES,
                "linger.ms": 5,
                "log_level": 2,
            }
        )
        self._waiting: deque[Publish] = deque()
        self._open: dict[int, None] = {}
        self._last_taken = 0
        self._telling: asyncio.Task[None] | None = None
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="publishing", daemon=True)
        self._poller.start()

    def begin(self, unpublished: Iterable[Publish]) -> None:
        """Write what another run has left."""
        self._waiting += unpublished
        self._produce()

    def written(self, batch: Batch) -> None:
        """Write what a batch wants to be written."""
        self._waiting += [change for change in batch.changes if isinstance(change, Publish)]
        self._produce()

    async def close(self) -> None:
        """Stop; what Kafka has not taken by now stays in the outbox."""
        await self._loop.run_in_executor(None, self._producer.flush, _CLOSE_S)
        await asyncio.sleep(0)
        if self._telling is not None:
            await asyncio.wait([self._telling])
        self._closing.set()
        await self._loop.run_in_executor(None, self._poller.join)

    def _produce(self) -> None:
        while self._waiting:
            record = self._waiting[0]
            try:
                self._producer.produce(
                    record.topic, record.value.encode(), key=record.key.encode(), on_delivery=_Heard(self, record.seq)
                )
            except BufferError:
                # Full: goes on when Kafka has taken some.
                return
            self._open[record.seq] = None
            self._waiting.popleft()

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)

    def heard(self, seq: int, error: KafkaError | None) -> None:
        """Take Kafka's answer; called by the thread that polls."""
        if error is not None:
            LOG.error("Kafka refuses a record of dispatch: %s", error.str())
        self._loop.call_soon_threadsafe(self._taken, seq)

    def _taken(self, seq: int) -> None:
        self._open.pop(seq, None)
        self._last_taken = max(self._last_taken, seq)
        self._produce()
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        """Let what Kafka has leave the outbox, many records at a time."""
        told = 0
        while True:
            up_to = next(iter(self._open), self._last_taken + 1) - 1
            if up_to <= told:
                return
            try:
                await self._engine.do(partial(self._write, up_to))
            except DeposedError:
                return
            told = up_to

    def _write(self, up_to: int, _now_ms: int) -> None:
        self._engine.core.write(Published(up_to))


class _Heard:
    """What is done when Kafka answers about one record."""

    __slots__ = ("_publisher", "_seq")

    def __init__(self, publisher: Publisher, seq: int) -> None:
        self._publisher = publisher
        self._seq = seq

    def __call__(self, error: KafkaError | None, _message: Message) -> Any:
        self._publisher.heard(self._seq, error)
