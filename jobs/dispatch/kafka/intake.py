"""Intake: anomalies and incidents are read from Kafka; the offsets move when their alerts are in the outbox.

Summaries are read as well while an alert definition looks at them.
"""

import asyncio
import base64
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from jobs.dispatch.core import Core
from jobs.dispatch.engine import Engine
from jobs.dispatch.outbox.changes import OFFSETS, Keep
from jobs.dispatch.outbox.store import DeposedError
from jobs.errors import SentinelError
from jobs.topics import ANOMALIES, CONFIG, DEAD_LETTERS, INCIDENTS, SUMMARIES
from schemas.anomaly import Anomaly
from schemas.codec import decode_record
from schemas.dead_letter import PAYLOAD_BYTES_MAX, DeadLetter
from schemas.incident import Incident
from schemas.refusal import DecodeError
from schemas.summary import Summary
from schemas.time import from_at_ms
from udfs.alerting.alert import Alert
from udfs.alerting.from_anomaly import AlertLinks, alerts_of_anomaly
from udfs.alerting.from_incident import alerts_of_incident
from udfs.alerting.observation import of_anomaly, of_summary

LOG = logging.getLogger("dispatch.intake")
CONFIGURATION_KEY: Final = "dispatch/configuration"
"""Key of the record of `sentinel.config` that holds a configuration of dispatch, in place of its file."""
BATCH: Final = 500
_POLL_S: Final = 0.2
_TIMEOUT_S: Final = 15.0
_TELL_AGAIN_S: Final = 60.0
_SUMMARIES_BACK_MS: Final = 600_000
GROUP: Final = "sentinel-dispatch"

Reconfigure = Callable[[str | None], None]
"""Takes the text of a configuration from the topic, None when it was removed there; called in the event loop."""


class Intake:
    """The one consumer of an instance that leads, in a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        bootstrap_servers: str,
        *,
        offsets: dict[str, int],
        first_look_back_ms: int,
        links: AlertLinks,
        reconfigure: Reconfigure,
        received: Callable[[str, int], None],
    ) -> None:
        """Read on at `offsets`, by `topic/partition`; anomalies of a partition without one from a while back.

        `received` is told of each batch's topic and number of records.
        """
        self._engine = engine
        self._servers = bootstrap_servers
        self._offsets = offsets
        self._first_look_back_ms = first_look_back_ms
        self._links = links
        self._reconfigure = reconfigure
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._reads_summaries = False
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self._told_at_s: dict[int, float] = {}
        self.trouble = ""
        """What Kafka complained of last, empty while all is well."""

    async def run(self) -> None:
        """Read until closed; raises SentinelError when Kafka cannot be read at all."""
        self._thread.start()
        await self._failure

    async def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        if self._thread.ident is not None:
            await self._loop.run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        try:
            consumer = Consumer(
                {
                    "bootstrap.servers": self._servers,
                    "group.id": GROUP,
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    # A request that waits for one topic holds up the next one for another: half a second by default.
                    "fetch.wait.max.ms": 50,
                    "error_cb": self._complained,
                    "log_level": 2,
                }
            )
        except KafkaException as error:
            self._end(SentinelError(f"Kafka at {self._servers} cannot be read: {error.args[0].str()}."))
            return
        try:
            self._assign(consumer)
            while not self._closing.is_set():
                if self._engine.core.definitions.wants_summaries and not self._reads_summaries:
                    self._read_summaries(consumer)
                self._turn(consumer)
        except DeposedError:
            self._end(None)
        except KafkaException as error:
            self._end(SentinelError(f"Kafka at {self._servers} cannot be read: {error.args[0].str()}."))
        except SentinelError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - handed to the process, which ends with it
            self._end(error)
        finally:
            consumer.close()

    def _end(self, error: Exception | None) -> None:
        def tell() -> None:
            if not self._failure.done():
                if error is None:
                    self._failure.set_result(None)
                else:
                    self._failure.set_exception(error)

        self._loop.call_soon_threadsafe(tell)

    def _complained(self, error: KafkaError) -> None:
        # The texts of one outage differ in times and counts, and two kinds take turns: each is told once a minute.
        now_s = time.monotonic()
        if now_s - self._told_at_s.get(error.code(), -_TELL_AGAIN_S) >= _TELL_AGAIN_S:
            self._told_at_s[error.code()] = now_s
            LOG.warning("Kafka at %s: %s", self._servers, error.str())
        self.trouble = str(error)

    def _assign(self, consumer: Consumer) -> None:
        """Take all partitions, each where the outbox says; no group is joined, as only one instance leads."""
        topics = (ANOMALIES.name, INCIDENTS.name, CONFIG.name)
        partitions = [each for topic in topics for each in self._partitions(consumer, topic)]
        for each in partitions:
            known = self._offsets.get(f"{each.topic}/{each.partition}")
            each.offset = OFFSET_BEGINNING if known is None or each.topic == CONFIG.name else known
        new = [each for each in partitions if each.topic == ANOMALIES.name and each.offset == OFFSET_BEGINNING]
        # The ends first: what is written between the two questions must not fall between them.
        ends = {(each.topic, each.partition): self._end_of(consumer, each) for each in new}
        for each in new:
            # What was anomalous longer ago has ended by now: nobody is told of a week at once.
            each.offset = self._engine.clock() - self._first_look_back_ms
        if new:
            at = {(each.topic, each.partition): each.offset for each in consumer.offsets_for_times(new, _TIMEOUT_S)}
            for each in new:
                place = each.topic, each.partition
                each.offset = at[place] if at[place] >= 0 else ends[place]
        consumer.assign(partitions)
        # Where reading begins is kept at once, so that a crash before the first record leaves no gap.
        starts = [Keep(OFFSETS, f"{each.topic}/{each.partition}", str(each.offset).encode()) for each in new]
        self._do(lambda core, _now: core.write(*starts))

    def _read_summaries(self, consumer: Consumer) -> None:
        """Read the summaries, too, from where the outbox says, but from no longer ago than they can matter."""
        self._reads_summaries = True
        partitions = self._partitions(consumer, SUMMARIES.name)
        for each in partitions:
            each.offset = self._engine.clock() - _SUMMARIES_BACK_MS
        for each in consumer.offsets_for_times(partitions, _TIMEOUT_S):
            known = self._offsets.get(f"{each.topic}/{each.partition}", 0)
            each.offset = max(self._position(consumer, each), known)
            consumer.incremental_assign([each])

    def _partitions(self, consumer: Consumer, topic: str) -> list[TopicPartition]:
        """Return the partitions of a topic as soon as Kafka tells; none when this is closed first."""
        while not self._closing.is_set():
            try:
                found = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
            except KafkaException as error:
                self._complained(error.args[0])
                self._closing.wait(1.0)
                continue
            if found.error is None:
                return [TopicPartition(topic, number) for number in found.partitions]
            raise SentinelError(
                f"Kafka at {self._servers} has no topic {topic} ({found.error.str()}); create the topics with "
                "`sentinel topics`."
            )
        return []

    def _end_of(self, consumer: Consumer, each: TopicPartition) -> int:
        _, end = consumer.get_watermark_offsets(TopicPartition(each.topic, each.partition), timeout=_TIMEOUT_S)
        return int(end)

    def _position(self, consumer: Consumer, each: TopicPartition) -> int:
        if each.offset >= 0:
            return int(each.offset)
        _, end = consumer.get_watermark_offsets(each, timeout=_TIMEOUT_S)
        return int(end)

    def _turn(self, consumer: Consumer) -> None:
        first = consumer.poll(_POLL_S)
        if first is None:
            return
        messages = [first, *consumer.consume(BATCH - 1, timeout=0)]
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public name for it
                self._complained(error)
        if not records:
            return
        self.trouble = ""
        self._do(lambda core, now_ms: self._take(core, records, now_ms))
        # For people's tools alone: what counts is in the outbox.
        consumer.commit(offsets=_after(records), asynchronous=True)

    def _do(self, action: Callable[[Core, int], Any]) -> None:
        """Run an action and return when it is written."""
        done = asyncio.run_coroutine_threadsafe(
            self._engine.do(lambda now_ms: action(self._engine.core, now_ms)), self._loop
        )
        done.result()

    def _take(self, core: Core, records: Sequence[Message], now_ms: int) -> None:
        """Take what the records say, and the offsets after them; they are written together."""
        alerts: list[Alert] = []
        for record in records:
            topic = str(record.topic())
            self._received(topic, 1)
            if topic == CONFIG.name:
                self._take_configuration(record)
                continue
            try:
                alerts += self._alerts_of(core, topic, record.value(), now_ms)
            except DecodeError as refusal:
                letter = dead_letter(record, refusal)
                core.publish(DEAD_LETTERS.name, letter.dead_letter_id, msgspec.json.encode(letter).decode())
                LOG.warning("%s is a dead letter: %s", letter.dead_letter_id, refusal.detail)
        core.take_alerts(alerts, now_ms)
        for each in _after(records):
            core.write(Keep(OFFSETS, f"{each.topic}/{each.partition}", str(each.offset).encode()))

    def _take_configuration(self, record: Message) -> None:
        if record.key() == CONFIGURATION_KEY.encode():
            value = record.value()
            self._reconfigure(None if value is None else value.decode(errors="replace"))

    def _alerts_of(self, core: Core, topic: str, value: bytes | None, now_ms: int) -> tuple[Alert, ...]:
        if topic == ANOMALIES.name:
            anomaly = decode_record(value, Anomaly)
            core.observe(of_anomaly(anomaly), now_ms)
            return alerts_of_anomaly(anomaly, now_ms, self._links)
        if topic == SUMMARIES.name:
            seen = of_summary(decode_record(value, Summary))
            if seen is not None:
                core.observe(seen, now_ms)
            return ()
        if value is None:
            # The incident was removed from the compacted topic; its last state has said when it ends.
            return ()
        return alerts_of_incident(decode_record(value, Incident), now_ms, self._links)


def dead_letter(record: Message, refusal: DecodeError) -> DeadLetter:
    """Return the dead letter of a record that is refused."""
    topic, partition, offset = str(record.topic()), int(record.partition() or 0), int(record.offset() or 0)
    value, key = record.value() or b"", record.key()
    _, at_ms = record.timestamp()
    return DeadLetter(
        dead_letter_id=f"{topic}-{partition}-{offset}",
        reason=refusal.reason,
        detail=refusal.detail,
        topic=topic,
        partition=partition,
        offset=offset,
        payload_base64=base64.b64encode(value[:PAYLOAD_BYTES_MAX]).decode(),
        payload_size=len(value) if len(value) > PAYLOAD_BYTES_MAX else None,
        key_base64=None if key is None else base64.b64encode(key).decode(),
        timestamp=from_at_ms(at_ms) if at_ms > 0 else None,
    )


def _after(records: Sequence[Message]) -> list[TopicPartition]:
    """Return the offsets after the last record of each partition."""
    last = {(str(record.topic()), int(record.partition() or 0)): int(record.offset() or 0) + 1 for record in records}
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in last.items()]
