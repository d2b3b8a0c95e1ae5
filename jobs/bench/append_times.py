"""Append times: when the broker took a record, for the topics whose clock is set to that."""

from collections.abc import Iterator
from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType  # type: ignore[attr-defined]

from jobs.errors import SentinelError
from jobs.topics import Topic

_TIMEOUT_S = 30.0
_AT_ONCE = 5_000


def stamp_on_append(bootstrap_servers: str, topics: tuple[Topic, ...]) -> None:
    """Let the broker stamp every record of the topics with the time it appends it."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    wanted = [ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry]) for topic in topics]
    try:
        for future in admin.incremental_alter_configs(wanted).values():
            future.result(_TIMEOUT_S)
    except KafkaException as error:
        raise SentinelError(f"Kafka does not set the timestamps of its topics: {error}.") from None


def read_appended(bootstrap_servers: str, topic: Topic, since_ms: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield value and append time in ms of everything in a topic appended since a time, partition by partition."""
    for number in range(topic.partitions):
        yield from read_partition(bootstrap_servers, topic, number, since_ms)


def read_partition(bootstrap_servers: str, topic: Topic, number: int, since_ms: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield value and append time in ms of everything in one partition of a topic appended since a time, in order."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "sentinel-bench"})
    with closing(consumer):
        [start] = consumer.offsets_for_times([TopicPartition(topic.name, number, since_ms)], timeout=_TIMEOUT_S)
        _, end = consumer.get_watermark_offsets(start, timeout=_TIMEOUT_S)
        # A negative offset: nothing was appended since then.
        left = end - start.offset if start.offset >= 0 else 0
        consumer.assign([start])
        while left > 0:
            messages = consumer.consume(min(left, _AT_ONCE), timeout=_TIMEOUT_S)
            if not messages:
                raise SentinelError(f"Kafka does not hand out {left:,} records of {topic.name}.")
            for message in messages:
                if message.error() is not None:
                    raise SentinelError(f"Kafka does not hand out {topic.name}: {message.error()}.")
                yield message.value() or b"", message.timestamp()[1]
            left -= len(messages)
