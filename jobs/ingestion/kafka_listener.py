"""Kafka listener: a foreign topic whose records are telemetry in another dialect, read in the order they have.

A record counts as read once the buffer is as sure of it as the configuration asks; what comes twice after a crash has
the same `event_id`.
"""

import asyncio
import logging
from threading import Event, Thread
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message

from jobs.ingestion.auth.caller import Caller
from jobs.ingestion.outcome import RefusedError
from jobs.ingestion.reception import Reception
from jobs.ingestion.settings import KafkaSettings, TopicSettings

_BATCH_MAX: Final = 500
_POLL_S: Final = 0.2
_RETRY_S: Final = 1.0
_log: Final = logging.getLogger(__name__)


class KafkaListener:
    """Reads one topic in a thread of its own, as a member of a consumer group."""

    def __init__(
        self, topic: TopicSettings, kafka: KafkaSettings, reception: Reception, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._topic = topic
        self._reception = reception
        self._loop = loop
        self._caller = Caller(tenant=topic.tenant, how="topic", name=topic.topic)
        self._stopping = Event()
        self._thread = Thread(target=self._listen, name=f"listen-{topic.topic}", daemon=True)
        self._consumer = Consumer({
            "bootstrap.servers": topic.bootstrap_servers or kafka.bootstrap_servers,
            "group.id": topic.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": True,
            # An offset is stored here when its record was taken, and committed some seconds later or at the end.
            "enable.auto.offset.store": False,
            # A topic that is created later is found within this time.
            "topic.metadata.refresh.interval.ms": 10_000,
            "partition.assignment.strategy": "cooperative-sticky",
            "log_level": 2,
            **kafka.client,
        })  # fmt: skip

    def start(self) -> None:
        """Begin to read."""
        self._consumer.subscribe([self._topic.topic])
        self._thread.start()

    def stop(self) -> None:
        """Commit what was read and leave the group."""
        self._stopping.set()
        self._thread.join()

    def _listen(self) -> None:
        try:
            while not self._stopping.is_set():
                messages = self._consumer.consume(_BATCH_MAX, _POLL_S)
                records = [message for message in messages if message.error() is None]
                for message in messages:
                    if message.error() is not None:
                        _log.warning("topic %s: %s", self._topic.topic, message.error())
                if records and self._is_taken([message.value() or b"" for message in records]):
                    self._remember(records)
        finally:
            self._consumer.close()

    def _is_taken(self, records: list[bytes]) -> bool:
        """Return once the records were taken; False when the program ends first."""
        while not self._stopping.is_set():
            coroutine = self._reception.records(self._caller, self._topic.format, records)
            try:
                asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
            except RefusedError as refused:
                # The topic keeps them: waiting loses nothing.
                self._stopping.wait(refused.retry_after_s or _RETRY_S)
            except Exception:  # noqa: BLE001 - the next records are to be read all the same
                _log.exception("topic %s: records failed", self._topic.topic)
                self._stopping.wait(_RETRY_S)
            else:
                return True
        return False

    def _remember(self, messages: list[Message]) -> None:
        newest = {(message.topic(), message.partition()): message for message in messages}
        for message in newest.values():
            try:
                self._consumer.store_offsets(message)
            except KafkaException as problem:
                # The partition went to another member meanwhile, which reads the records again: same ids.
                _log.info("topic %s: %s", self._topic.topic, problem)
