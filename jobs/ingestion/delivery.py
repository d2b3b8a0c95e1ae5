"""Delivery of buffered events to Kafka: in order, again and again until Kafka has them, as fast as Kafka takes them.

Two threads: one takes events from the buffer and hands them to the producer, one hears what became of them. A bounded
number of bytes is on the way; while Kafka is away that is all of it, and the buffer keeps the rest.
"""

import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from math import inf
from threading import Condition, Event, Lock, Thread
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec import Struct

from jobs.ingestion.buffer import Buffer, Waiting
from jobs.ingestion.dead_letters import refused_by_kafka
from jobs.ingestion.heartbeats import EVERY_S, heartbeat
from jobs.topics import DEAD_LETTERS, TELEMETRY
from schemas.codec import encode
from schemas.telemetry import TelemetryEvent

_LARGEST_BYTES: Final = 12 * 1024 * 1024
_TAKE_S: Final = 0.2
_POLL_S: Final = 0.1
_METADATA_S: Final = 1.0
_METADATA_AGAIN_S: Final = 5.0
_METADATA_EVERY_S: Final = 60.0
_FIRST_BACKOFF_S: Final = 0.2
_LAST_BACKOFF_S: Final = 15.0
_OF_THE_EVENT: Final = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_RECORD,
    KafkaError.POLICY_VIOLATION,
})  # fmt: skip
"""Refusals that will not change however often the event is sent."""


class DeliverySettings(Struct, frozen=True, kw_only=True):
    """Where events go."""

    bootstrap_servers: str
    topic: str = TELEMETRY.name
    dead_letters: str = DEAD_LETTERS.name
    flight_bytes: int = 16 * 1024 * 1024
    """Bytes that are on the way at a time."""
    linger_ms: int = 5
    heartbeat_bound_ms: int = 5_000
    """How far behind the clock heartbeats are: as far as events may be late."""
    extra: dict[str, str] = {}
    """More settings of librdkafka, for encryption and authentication."""


class Delivery:
    """Delivers the events of a buffer until it is stopped."""

    def __init__(
        self,
        buffer: Buffer,
        settings: DeliverySettings,
        *,
        encode_heartbeat: Callable[[TelemetryEvent], bytes] = encode,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._buffer = buffer
        self._settings = settings
        self._encode_heartbeat = encode_heartbeat
        self._now_s = now_s
        self._host = socket.gethostname()
        self._landed = Condition()
        self._producing = Lock()
        self._flight_bytes = 0
        self._reports: list[tuple[Waiting, KafkaError | None]] = []
        self._stopping = Event()
        self._restart = False
        self._alone: set[tuple[str, int]] = set()
        self._one_by_one = False
        self._failures = 0
        self._heartbeats_flying: set[int] = set()
        self._partitions = 0
        self._has_a_say = any(account.delivered for account in buffer.accounts().values())
        self.heartbeats: Counter[int] = Counter()
        """Heartbeats that have arrived, by partition."""
        self.restarts = 0
        """How often the producer had to be made anew."""
        self.last_error = ""
        """What Kafka, or the way to it, last complained of; empty once events arrive again."""
        self._producer = self._new_producer()
        self._sender = Thread(target=self._send_all, name="delivery", daemon=True)
        self._hearer = Thread(target=self._hear_all, name="delivery-reports", daemon=True)

    def start(self) -> None:
        """Begin to deliver. Kafka need not be there."""
        self._sender.start()
        self._hearer.start()

    def stop(self, deadline_s: float) -> int:
        """Deliver what the buffer holds, for so long at most; return how many events are left in it."""
        end_s = time.monotonic() + deadline_s
        with self._landed:
            self._landed.wait_for(lambda: not self._buffer.buffered, max(0.0, end_s - time.monotonic()))
            self._stopping.set()
            self._landed.notify_all()
        self._sender.join()
        self._hearer.join()
        self._producer.purge()
        self._buffer.give_back()
        return self._buffer.buffered

    @property
    def flight_bytes(self) -> int:
        """Bytes of events that are on the way."""
        return self._flight_bytes

    def _new_producer(self) -> Producer:
        return Producer({
            "bootstrap.servers": self._settings.bootstrap_servers,
            # The Java client's partitioner, so that a series is in one partition whoever writes it.
            "partitioner": "murmur2_random",
            # A retry neither repeats nor reorders.
            "enable.idempotence": True,
            "acks": "all",
            # Kafka may be away for days: the buffer decides what is given up, not the producer.
            "message.timeout.ms": 0,
            "retry.backoff.ms": 100,
            "retry.backoff.max.ms": 5_000,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 5_000,
            "message.max.bytes": _LARGEST_BYTES,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 1_048_576,
            "linger.ms": self._settings.linger_ms,
            "compression.type": "lz4",
            # Only an event that is refused when it is alone is refused for what it is.
            "batch.num.messages": 1 if self._alone else 10_000,
            "error_cb": self._complained,
            "log_level": 0,
            **self._settings.extra,
        })  # fmt: skip

    def _complained(self, error: KafkaError) -> None:
        self.last_error = error.str()

    def _send_all(self) -> None:
        while not self._stopping.is_set():
            with self._landed:
                while not self._stopping.is_set() and (
                    self._restart or self._is_regrouping() or self._flight_bytes >= self._settings.flight_bytes
                ):
                    self._landed.wait(_TAKE_S)
            with self._producing:
                # While a new producer is made nothing is taken: it is for the first events that are not settled.
                if not self._restart and (events := self._buffer.take(_TAKE_S)):
                    self._send(events)

    def _send(self, events: list[Waiting]) -> None:
        with self._landed:
            self._flight_bytes += sum(waiting.size for waiting in events)
        messages: list[dict[str, Any]] = [
            {"value": waiting.value, "key": waiting.key, "callback": partial(self._report, waiting)}
            for waiting in events
        ]
        try:
            queued = self._producer.produce_batch(self._settings.topic, messages)
        except (BufferError, KafkaException) as error:
            self._ask_for_restart(str(error))
            return
        if queued < len(messages):
            # What follows one that was not queued must not overtake it: all are sent again.
            first = next(message["_error"] for message in messages if "_error" in message)
            self._ask_for_restart(str(first))

    def _report(self, waiting: Waiting, error: KafkaError | None, _message: Message) -> None:
        self._reports.append((waiting, error))

    def _hear_all(self) -> None:
        next_heartbeat_s = next_metadata_s = time.monotonic()
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)
            self._land()
            if self._restart or (self._is_regrouping() and not self._flight_bytes):
                self._make_anew()
            now_s = time.monotonic()
            if now_s >= next_metadata_s:
                next_metadata_s = now_s + (_METADATA_EVERY_S if self._count_partitions() else _METADATA_AGAIN_S)
            if now_s >= next_heartbeat_s:
                next_heartbeat_s = max(next_heartbeat_s + EVERY_S, now_s)
                self._beat()

    def _land(self) -> None:
        reports, self._reports = self._reports, []
        if not reports:
            return
        arrived = [waiting for waiting, error in reports if error is None]
        self._buffer.delivered(arrived)
        for waiting, error in reports:
            if error is not None:
                self._failed(waiting, error)
        with self._landed:
            self._flight_bytes -= sum(waiting.size for waiting, _ in reports)
            if arrived:
                self._has_a_say = True
                self._failures = 0
                self.last_error = ""
                self._alone.difference_update((waiting.tenant, waiting.number) for waiting in arrived)
            self._landed.notify_all()

    def _failed(self, waiting: Waiting, error: KafkaError) -> None:
        if error.code() in _OF_THE_EVENT and (waiting.tenant, waiting.number) in self._alone:
            too_large = error.code() in {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
            self._bury(waiting, refused_by_kafka(waiting, too_large=too_large, detail=f"Kafka said: {error.str()}."))
        else:
            if error.code() in _OF_THE_EVENT:
                self._alone.add((waiting.tenant, waiting.number))
            if not self._restart:
                self._ask_for_restart(error.str())

    def _bury(self, waiting: Waiting, letter: bytes) -> None:
        def buried(error: KafkaError | None, _message: Message) -> None:
            if error is not None and error.code() not in _OF_THE_EVENT:
                self._ask_for_restart(error.str())
                return
            if error is not None:
                self.last_error = f"Kafka refuses a dead letter, it is lost: {error.str()}"
            self._alone.discard((waiting.tenant, waiting.number))
            self._buffer.refused([waiting])
            with self._landed:
                self._landed.notify_all()

        self._produce(self._settings.dead_letters, value=letter, key=waiting.key, on_delivery=buried)

    def _produce(self, topic: str, **record: Any) -> None:
        try:
            self._producer.produce(topic, **record)
        except (BufferError, KafkaException) as error:
            self._ask_for_restart(str(error))

    def _ask_for_restart(self, problem: str) -> None:
        self.last_error = problem
        self._restart = True

    def _make_anew(self) -> None:
        """Give everything that is on the way back to the buffer, and begin again with a new producer."""
        with self._producing:
            self._producer.purge()
            while len(self._producer):
                self._producer.poll(_POLL_S)
            self._land()
            self._buffer.give_back()
            self._heartbeats_flying.clear()
            if self._restart:
                self.restarts += 1
                # Full jitter, so that many instances do not come back together.
                time.sleep(random.uniform(0, min(_LAST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** min(self._failures, 10))))
                self._failures += 1
            self._producer = self._new_producer()
            self._one_by_one = bool(self._alone)
            with self._landed:
                self._flight_bytes = 0
                self._restart = False
                self._landed.notify_all()

    def _is_regrouping(self) -> bool:
        """Whether the events that had to be sent one by one are through, so that batches are possible again."""
        return self._one_by_one and not self._alone

    def _count_partitions(self) -> bool:
        try:
            topics = self._producer.list_topics(self._settings.topic, timeout=_METADATA_S).topics
        except KafkaException as error:
            self.last_error = error.args[0].str()
            return False
        found = topics.get(self._settings.topic)
        if found is None or found.error is not None:
            self.last_error = f"Kafka has no topic {self._settings.topic}: create it."
            return False
        self._partitions = len(found.partitions)
        return True

    def _beat(self) -> None:
        """Write a heartbeat to every partition that has its previous one.

        It says nothing about events that still wait here: it is as old as the oldest of them, and older by the bound.
        How old those are that an earlier process left, nobody knows. An ingestion that never delivered anything says
        nothing of time: others may write to the topic, and a replay of yesterday would come too late.
        """
        age_s = self._buffer.oldest_age_s()
        if age_s == inf or not self._has_a_say:
            return
        at_ms = int((self._now_s() - age_s) * 1_000) - self._settings.heartbeat_bound_ms
        for partition in range(self._partitions):
            if partition in self._heartbeats_flying:
                continue
            self._heartbeats_flying.add(partition)
            self._produce(
                self._settings.topic,
                value=self._encode_heartbeat(heartbeat(self._host, at_ms, partition)),
                partition=partition,
                on_delivery=partial(self._beaten, partition),
            )

    def _beaten(self, partition: int, error: KafkaError | None, _message: Message) -> None:
        self._heartbeats_flying.discard(partition)
        if error is None:
            self.heartbeats[partition] += 1
