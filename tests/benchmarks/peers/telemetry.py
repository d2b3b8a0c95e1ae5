"""Telemetry: the topics that peers read, filled with the same calls for each, and the calls planted in them."""

import time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from typing import Final

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
_SPAN_MS: Final = 600_000
"""Least event time of a backlog: LLM-Sentinel warms up for five minutes of it."""
_MOST_PLANTED: Final = 2_000
_REQUEST_S: Final = 15.0


class Backlog(Struct, frozen=True, kw_only=True):
    """A topic that was filled before anything reads it."""

    topic: str
    events: int
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
    warm_ms = int(ENTITIES * SAMPLES * 1000.0 / rate_per_s)
    most = most_plantable(ENTITIES, span_ms - warm_ms)
    planting = Planting(
        start_at_ms=start_at_ms + warm_ms, end_at_ms=start_at_ms + span_ms, wanted=min(most, _MOST_PLANTED)
    )
    created = create_topic(bootstrap_servers, topic)
    writer = TopicWriter(bootstrap_servers, topic, linger_ms=20)
    marks: list[Mark] = []
    records = Numbered()
    writer.write(records.of(planting, bulk_records(bulk, writer.partitions), marks))
    writer.close()
    return Backlog(
        topic=topic,
        events=events,
        records=records.count,
        start_at_ms=start_at_ms,
        marks=marks,
        partitions=[list(each) for each in appended(bootstrap_servers, created, planting.planted)],
    )


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
    """Counts the records that pass."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, planting: Planting, records: Iterable[Record], marks: list[Mark]) -> Iterator[Record]:
        """Yield the records with calls planted in them, and note those in `marks`."""
        before = len(planting.planted)
        for record in planting.planted_in(records):
            self.count += 1
            if len(planting.planted) > before:
                before += 1
                marks.append(Mark(decode_event(record.value).event_id, record.due_ms, self.count))
            yield record
