"""While Kafka is away a bounded part of the buffer is on its way, and nothing leaves it."""

import asyncio
from base64 import b64decode
from pathlib import Path

from jobs.ingestion.buffer import Ack, Buffer, BufferSettings
from jobs.ingestion.dead_letters import refused_by_kafka
from jobs.ingestion.delivery import Delivery, DeliverySettings
from jobs.ingestion.heartbeats import heartbeat
from jobs.stack.waiting import wait_until
from schemas.codec import decode_event, decode_record, encode
from schemas.dead_letter import DeadLetter, RejectReason
from tests.buffer_events import numbered, numbers
from udfs.ingestion.account import Account

NOBODY = "127.0.0.1:1"


def test_everything_stays_in_order_while_kafka_is_away(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path))
    assert asyncio.run(buffer.put("a", numbered("a", 1, 2_000), Ack.DURABLE)) is None
    delivery = Delivery(buffer, DeliverySettings(bootstrap_servers=NOBODY, flight_bytes=300_000))
    delivery.start()
    wait_until(lambda: delivery.flight_bytes >= 300_000 and bool(delivery.last_error), "a full flight", deadline_s=60)
    assert delivery.flight_bytes < 300_000 + 2 * 256 * 1024
    assert delivery.stop(0) == 2_000
    assert buffer.accounts() == {"a": Account(received=2_000, buffered=2_000)}
    taken = []
    while some := buffer.take(0):
        taken.extend(some)
    assert numbers(taken) == list(range(1, 2_001))
    buffer.close()


def test_heartbeat_is_told_apart_by_instance_partition_and_time() -> None:
    ids = {heartbeat(host, at_ms, 1).event_id for host in "ab" for at_ms in (1_800_000_000_000, 1_800_000_001_000)}
    assert len(ids) == 4
    event = heartbeat("a", 1_800_000_000_123, 3)
    assert decode_event(encode(event)) == event


def test_dead_letter_has_the_bytes_of_the_event(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path))
    asyncio.run(buffer.put("a", numbered("a", 1, 1)))
    (event,) = buffer.take(0)
    letter = decode_record(refused_by_kafka(event, too_large=True, detail="Kafka said: no."), DeadLetter)
    assert (letter.reason, letter.offset, b64decode(letter.payload_base64)) == (
        RejectReason.TOO_LARGE,
        1,
        event.value,
    )
    buffer.refused([event])
    assert buffer.accounts()["a"].unaccounted == 0
    buffer.close()
