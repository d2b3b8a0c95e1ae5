"""Telemetry: the topics that peers read, filled with the same calls for each, and the calls planted in them."""

import time
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from typing import Final
from zlib import crc32

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from msgspec import Struct

from jobs.bench.append_times import read_partition
from jobs.bench.planting import Planting, most_plantable
from jobs.errors import SentinelError
from jobs.replay.bulk import Bulk, bulk_records
from jobs.replay.produce import TopicWriter
from jobs.replay.stream import Record
from jobs.stack.waiting import wait_until
from jobs.topics import TELEMETRY, Topic
from schemas.codec import decode_event
from tests.benchmarks.peers.verdict import Mark

ENTITIES: Final = 200
SAMPLES: Final = 300
"""Calls of each entity before anything is planted: half as many again as the peers' warm-up."""
LONGEST_WARM_UP_MS: Final = 360_000
"""Event time that LLM-Sentinel warms up for, and a minute more."""
_SPAN_MS: Final = 900_000
"""Least event time of a backlog."""
_REQUEST_S: Final = 15.0


class Backlog(Struct, frozen=True, kw_only=True):
    """A topic that was filled before anything reads it."""

    topic: str
    records: int
    """Events and heartbeats."""
    start_at_ms: int
    marks: list[Mark]
    partitions: list[list[str]]
    """The planted calls of each partition, in order."""


def create_topic(bootstrap_servers: str, name: str) -> Topic:
    """Create a topic of four partitions in which the broker stamps records as it appends them."""
    topic = Topic(name, partitions=TELEMETRY.partitions, config={"message.timestamp.type": "LogAppendTime"})
    wanted = NewTopic(name, num_partitions=topic.partitions, replication_factor=1, config=topic.config)
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        admin.create_topics([wanted], request_timeout=_REQUEST_S)[name].result()
    except KafkaException as error:
        raise SentinelError(f"Kafka did not create {name}: {error.args[0].str()}.") from None
    with closing(Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "sentinel-bench"})) as consumer:
        wait_until(lambda: _led(consumer, topic), f"{name} to have leaders", deadline_s=_REQUEST_S)
    return topic


def _led(consumer: Consumer, topic: Topic) -> bool:
    """Return whether every partition answers: a topic is created a moment before it can be used."""
    try:
        for number in range(topic.partitions):
            consumer.get_watermark_offsets(TopicPartition(topic.name, number), timeout=_REQUEST_S)
    except KafkaException:
        return False
    return True


def fill_backlog(bootstrap_servers: str, topic: str, events: int) -> Backlog:
    """Fill a topic with calls of about 600 bytes, 5,000 for each second of event time, or fewer if they are few."""
    rate_per_s = min(5_000.0, events * 1000.0 / _SPAN_MS)
    span_ms = int(events * 1000.0 / rate_per_s)
    start_at_ms = int(time.time() * 1000) - span_ms
    bulk = Bulk(events=events, start_at_ms=start_at_ms, entities=ENTITIES, events_per_s=rate_per_s)
    plan = plan_of(start_at_ms, int(ENTITIES * SAMPLES * 1000.0 / rate_per_s), span_ms)
    created = create_topic(bootstrap_servers, topic)
    writer = TopicWriter(bootstrap_servers, topic, linger_ms=20)
    numbered = Numbered()
    writer.write(numbered.of(bulk_records(bulk, writer.partitions), plan))
    writer.close()
    event_ids = {each.event_id for each in numbered.marks}
    return Backlog(
        topic=topic,
        records=numbered.count,
        start_at_ms=start_at_ms,
        marks=numbered.marks,
        partitions=[list(each) for each in appended(bootstrap_servers, created, event_ids)],
    )


Plan = Callable[[Record], Planting | None]
"""Which planting a record is offered to."""


def plan_of(start_at_ms: int, warm_ms: int, span_ms: int) -> Plan:
    """Return what plants calls of half of the applications as soon as peers are warm, later of the other half.

    LLM-Sentinel needs longer than the others, who would come to their first planted call too late; and what is planted
    while a detector warms up it learns, so that the later calls are of applications of which none were planted before.
    """
    late_ms = max(warm_ms, LONGEST_WARM_UP_MS)
    early, late = (
        Planting(
            start_at_ms=start_at_ms + begin_ms,
            end_at_ms=start_at_ms + max(end_ms, begin_ms + 1),
            wanted=max(most_plantable(ENTITIES // 2, end_ms - begin_ms), 1),
        )
        for begin_ms, end_ms in ((warm_ms, late_ms), (late_ms, span_ms))
    )

    def choose(record: Record) -> Planting | None:
        is_late = record.due_ms >= start_at_ms + late_ms
        if is_late != bool(crc32(record.key or b"") % 2):
            return None
        return late if is_late else early

    return choose


def appended(bootstrap_servers: str, topic: Topic, event_ids: AbstractSet[str]) -> list[dict[str, int]]:
    """Return when each of some calls was appended, by partition and in its order."""
    decoder = msgspec.json.Decoder(_Event)
    found: list[dict[str, int]] = [{} for _ in range(topic.partitions)]
    for number, times in enumerate(found):
        for value, at_ms in read_partition(bootstrap_servers, topic, number):
            event_id = decoder.decode(value).event_id
            if event_id in event_ids:
                times[event_id] = at_ms
    return found


class _Event(Struct):
    event_id: str


class Numbered:
    """Counts the records that pass, and notes the calls that are planted among them."""

    def __init__(self) -> None:
        self.count = 0
        self.marks: list[Mark] = []

    def of(self, records: Iterable[Record], plan: Plan) -> Iterator[Record]:
        """Yield the records with calls planted in them."""
        for each in records:
            self.count += 1
            planting = plan(each)
            if planting is None:
                yield each
                continue
            before = len(planting.planted)
            [record] = planting.planted_in((each,))
            if len(planting.planted) > before:
                self.marks.append(Mark(decode_event(record.value).event_id, record.due_ms, self.count))
            yield record
