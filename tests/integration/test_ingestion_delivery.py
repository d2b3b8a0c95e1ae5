"""What the buffer took is in Kafka, once Kafka is there: all of it, in order, in the partitions of everyone else."""

import asyncio
import random
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from jobs.ingestion.buffer import Ack, Buffer, BufferSettings, Keyed, TenantRoom
from jobs.ingestion.delivery import Delivery, DeliverySettings
from jobs.records import read_values
from jobs.replay.produce import TopicWriter
from jobs.replay.stream import Record
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import DEAD_LETTERS
from schemas.codec import decode_event, decode_record
from schemas.dead_letter import DeadLetter, RejectReason
from schemas.telemetry import HEARTBEAT_METRIC
from schemas.time import to_at_ms
from tests.buffer_events import in_order, numbered
from udfs.ingestion.account import Account, Drop

TENANTS = ("a", "b", "c")
PARTITIONS = 4
LARGEST_BYTES = 50_000


@pytest.fixture
def topic(stack: Stack, request: pytest.FixtureRequest) -> str:
    """A topic of this test, for small records only."""
    name = request.node.name
    new = NewTopic(name, PARTITIONS, 1, config={"max.message.bytes": str(LARGEST_BYTES)})
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers, "log_level": 0})
    admin.create_topics([new])[name].result(30)
    wait_until(lambda: name in admin.list_topics(timeout=30).topics, "the topic to be known", deadline_s=60)
    return name


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    settings = BufferSettings(
        folder=tmp_path / "buffer",
        memory_bytes=1024 * 1024,
        segment_bytes=256 * 1024,
        room=TenantRoom(block_ms=60_000),
    )
    buffer = Buffer(settings)
    yield buffer
    buffer.close()


@contextmanager
def delivering(
    buffer: Buffer, settings: DeliverySettings, now_s: Callable[[], float] = time.time
) -> Iterator[Delivery]:
    delivery = Delivery(buffer, settings, now_s=now_s)
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.stop(10)


def end_of(consumer: Consumer, partition: TopicPartition) -> int:
    """Return the offset after the last record; a partition whose broker came back has no leader for a moment."""
    ends: list[int] = []

    def answers() -> bool:
        try:
            ends.append(consumer.get_watermark_offsets(partition, timeout=30)[1])
        except KafkaException:
            return False
        return True

    wait_until(answers, "a leader", deadline_s=60)
    return ends[0]


def read(stack: Stack, topic: str) -> list[Message]:
    """Return all records of a topic, partition by partition."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": "test", "log_level": 2})
    found: list[Message] = []
    try:
        for partition in range(PARTITIONS):
            end = end_of(consumer, TopicPartition(topic, partition))
            consumer.assign([TopicPartition(topic, partition, 0)])
            while end > 0 and consumer.position([TopicPartition(topic, partition)])[0].offset < end:
                found.extend(message for message in consumer.consume(1_000, timeout=5) if message.error() is None)
    finally:
        consumer.close()
    return found


def is_heartbeat(message: Message) -> bool:
    return message.key() is None


def delivered(messages: list[Message], tenant: str) -> list[int]:
    """Return the numbers of a tenant's events, in the order of their partition."""
    own = [message for message in messages if message.key() == f"{tenant}|app".encode()]
    assert len({message.partition() for message in own}) == 1
    return [int((message.value() or b"").split()[1]) for message in own]


@pytest.mark.cluster
def test_broker_that_goes_and_comes_back_misses_nothing(stack: Stack, topic: str, buffer: Buffer) -> None:
    async def put(first: int, ack: Ack) -> None:
        for start in range(first, first + 1_000, 100):
            for tenant in TENANTS:
                answer = await buffer.put(tenant, numbered(tenant, start, start + 99, 1_000), ack, deadline_s=120)
                assert answer is None

    with delivering(buffer, DeliverySettings(bootstrap_servers=stack.bootstrap_servers, topic=topic)):
        asyncio.run(put(1, Ack.KAFKA))
        stack.kill_broker()
        try:
            asyncio.run(put(1_001, Ack.DURABLE))
            asyncio.run(put(2_001, Ack.DURABLE))
            assert buffer.buffered == 2_000 * len(TENANTS)
            assert buffer.state().memory_bytes <= 1024 * 1024
        finally:
            stack.restart_broker()
        wait_until(lambda: not buffer.buffered, "the buffer to be empty", deadline_s=60)

    assert buffer.accounts() == {tenant: Account(received=3_000, delivered=3_000) for tenant in TENANTS}
    messages = read(stack, topic)
    for tenant in TENANTS:
        numbers = delivered(messages, tenant)
        assert in_order(list(dict.fromkeys(numbers)))
        assert set(numbers) == set(range(1, 3_001))


@pytest.mark.cluster
def test_events_and_heartbeats_are_where_those_of_the_replayer_are(stack: Stack, topic: str, buffer: Buffer) -> None:
    writer = TopicWriter(stack.bootstrap_servers, topic)
    writer.write([Record(0, f"{tenant}|app".encode(), f"{tenant} 0".encode()) for tenant in "abcdefgh"])
    writer.close()
    settings = DeliverySettings(bootstrap_servers=stack.bootstrap_servers, topic=topic, heartbeat_bound_ms=5_000)
    for tenant in "abcdefgh":
        asyncio.run(buffer.put(tenant, numbered(tenant, 1, 1)))
    with delivering(buffer, settings, lambda: 1_800_000_000.0) as delivery:
        wait_until(lambda: not buffer.buffered, "the buffer to be empty", deadline_s=60)
        wait_until(lambda: len(delivery.heartbeats) == PARTITIONS, "heartbeats", deadline_s=60)

    messages = read(stack, topic)
    for tenant in "abcdefgh":
        assert delivered(messages, tenant) == [0, 1]
    heartbeats = [message for message in messages if is_heartbeat(message)]
    assert {message.partition() for message in heartbeats} == set(range(PARTITIONS))
    for message in heartbeats:
        event = decode_event(message.value())
        assert event.data.metric_name == HEARTBEAT_METRIC
        assert event.data.dimensions == {"partition": str(message.partition())}
        assert to_at_ms(event.timestamp) <= 1_800_000_000_000 - 5_000


@pytest.mark.cluster
def test_what_kafka_refuses_for_good_is_a_dead_letter_and_holds_nothing_up(
    stack: Stack, topic: str, buffer: Buffer
) -> None:
    settings = DeliverySettings(bootstrap_servers=stack.bootstrap_servers, topic=topic)
    large = Keyed(b"a|app", random_value(0, 2 * LARGEST_BYTES))
    # Together the others are too large for one batch too, but none of them is refused for that.
    small = [Keyed(b"a|app", random_value(number, 1_000)) for number in range(1, 101)]
    asyncio.run(buffer.put("a", [*small[:50], large, *small[50:]]))
    with delivering(buffer, settings):
        wait_until(lambda: not buffer.buffered, "the buffer to be empty", deadline_s=60)

    assert buffer.accounts() == {"a": Account(received=101, delivered=100, dropped={Drop.REFUSED: 1})}
    numbers = delivered(read(stack, topic), "a")
    assert in_order(list(dict.fromkeys(numbers)))
    assert set(numbers) == set(range(1, 101))
    letters = [decode_record(value, DeadLetter) for value in read_values(stack.bootstrap_servers, DEAD_LETTERS.name)]
    (letter,) = [letter for letter in letters if letter.dead_letter_id == "ingestion-a-51"]
    assert letter.reason is RejectReason.TOO_LARGE
    assert b64decode(letter.payload_base64) == large.value


def random_value(number: int, size: int) -> bytes:
    """Return a value that cannot be compressed: Kafka's limits are about what arrives."""
    return f"a {number} ".encode() + random.Random(number).randbytes(size).replace(b" ", b"_")
