"""What reaches a broker: partitions as the Java client chooses them, order and heartbeats in each of them.

The broker is the one that librdkafka has for tests: the real client speaks its real protocol to it.
"""

from collections.abc import Iterator

import pytest
import typer
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from typer.testing import CliRunner

from jobs.cli.replay import replay
from jobs.errors import SentinelError
from jobs.replay.bulk import Bulk, bulk_events, produce_bulk
from jobs.replay.produce import TopicWriter
from jobs.replay.stream import Record
from schemas.codec import decode_event
from schemas.telemetry import HEARTBEAT_METRIC
from schemas.time import to_at_ms

PARTITIONS = 4  # what librdkafka's broker gives a topic


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    broker = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    (node,) = broker.list_topics(timeout=10).brokers.values()
    yield f"{node.host}:{node.port}"
    broker.flush(0)


def _partitions(servers: str, topic: str, number: int) -> list[list[Message]]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "reader", "log_level": 0})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found: list[list[Message]] = [[] for _ in range(PARTITIONS)]
    while sum(map(len, found)) < number:
        messages = consumer.consume(number, timeout=10)
        assert messages, "the broker holds fewer records than were sent"
        for message in messages:
            assert message.error() is None
            partition = message.partition()
            assert partition is not None
            found[partition].append(message)
    consumer.close()
    return found


def _murmur2(data: bytes) -> int:
    """The hash of Kafka's Java client (org.apache.kafka.common.utils.Utils.murmur2), as a signed 32-bit integer."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    h ^= h >> 15
    return h - (1 << 32) if h >> 31 else h


@pytest.mark.parametrize(
    ("text", "known"),
    # The vectors of Kafka's own UtilsTest.testMurmur2.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_reference_hash_agrees_with_the_java_client(text: bytes, known: int) -> None:
    assert _murmur2(text) == known


def test_keys_reach_the_partition_that_the_java_client_would_choose(servers: str) -> None:
    writer = TopicWriter(servers, "keys")
    assert writer.partitions == PARTITIONS
    keys = [f"tenant-{i % 7}|application-{i}".encode() for i in range(500)]
    writer.write(Record(i, key, b"x") for i, key in enumerate(keys))
    writer.close()
    found = _partitions(servers, "keys", len(keys))
    for partition, messages in enumerate(found):
        assert messages
        for message in messages:
            assert (_murmur2(message.key() or b"") & 0x7FFFFFFF) % PARTITIONS == partition


def test_bulk_keeps_order_and_beats_every_second_in_every_partition(servers: str) -> None:
    bulk = Bulk(events=3_000, start_at_ms=1_764_000_000_000, events_per_s=1_000.0, entities=40, absurd=3)
    planted = produce_bulk(bulk, servers, "bulk")
    # Three seconds of event time: heartbeats at 0, 1 and 2 s.
    beats = [bulk.start_at_ms + 1_000 * i for i in range(3)]
    sent = {event.value for event in bulk_events(bulk)}
    ids = set()
    for messages in _partitions(servers, "bulk", len(sent) + PARTITIONS * len(beats)):
        events = [decode_event(message.value()) for message in messages]
        at_ms = [to_at_ms(event.timestamp) for event in events]
        assert at_ms == sorted(at_ms)
        assert [t for t, e in zip(at_ms, events, strict=True) if e.data.metric_name == HEARTBEAT_METRIC] == beats
        ids |= {event.event_id for event in events}
        sent -= {message.value() or b"" for message in messages}
    assert not sent
    assert len(planted) == 3
    assert {event_id for event_id, _ in planted} <= ids


def test_absent_broker_is_told_in_one_sentence() -> None:
    with pytest.raises(SentinelError, match=r"No Kafka broker answers at 127\.0\.0\.1:1 .*is it running\?"):
        TopicWriter("127.0.0.1:1", "any", connect_s=0.2)


@pytest.mark.parametrize(
    ("options", "is_ahead"),
    [
        (("--as-fast-as-possible", "--tail", "10m"), False),
        (("--speed-up", "1000", "--tail", "10m"), False),
        (("--as-fast-as-possible", "--start", "2099-01-01T00:00:00Z"), True),
    ],
    ids=["as fast as possible", "faster than the clock", "in the future"],
)
def test_replay_stays_behind_the_clock_or_says_so(servers: str, options: tuple[str, ...], is_ahead: bool) -> None:  # noqa: FBT001
    app = typer.Typer()
    app.command()(replay)
    topic = f"ahead-{options[0].strip('-')}-{is_ahead}"
    target = ("--bootstrap-servers", servers, "--topic", topic, "--plan", "none", "--duration", "20s")
    result = CliRunner().invoke(app, [*target, *options])
    assert result.exception is None
    assert ("s ahead of the clock: the detection job refuses" in result.output) == is_ahead
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "ahead", "log_level": 0})
    place = TopicPartition(topic, 0)
    _, end = consumer.get_watermark_offsets(place, timeout=10)
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = consumer.consume(end, timeout=10)
    consumer.close()
    assert messages
    ahead = [to_at_ms(decode_event(message.value() or b"").timestamp) - message.timestamp()[1] for message in messages]
    assert (max(ahead) > 60_000) == is_ahead
