"""The buffer keeps the order of each tenant, is fair between tenants, and accounts for every event."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from msgspec import structs

from jobs.ingestion.buffer import Ack, Buffer, BufferSettings, Refusal, TenantRoom, Unconfirmed
from schemas.dead_letter import RejectReason
from tests.buffer_events import numbered, numbers
from udfs.ingestion.account import Account, Drop, Turned
from udfs.ingestion.room import WhenFull

SMALL = TenantRoom(share=0.01, when_full=WhenFull.BLOCK, block_ms=10_000)
"""Room for 52 kB of the 5 MB that the buffers here have."""


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    settings = BufferSettings(
        folder=tmp_path / "buffer",
        memory_bytes=1024 * 1024,
        disk_bytes=4 * 1024 * 1024,
        segment_bytes=256 * 1024,
        tenants={
            "blocks": SMALL,
            "hurries": structs.replace(SMALL, block_ms=10),
            "newest": structs.replace(SMALL, when_full=WhenFull.NEWEST),
            "oldest": structs.replace(SMALL, when_full=WhenFull.OLDEST),
        },
    )
    buffer = Buffer(settings)
    yield buffer
    buffer.close()


def test_events_leave_in_the_order_in_which_they_came(buffer: Buffer) -> None:
    asyncio.run(buffer.put("a", numbered("a", 1, 3)))
    asyncio.run(buffer.put("a", numbered("a", 4, 5)))
    taken = buffer.take(0)
    assert numbers(taken) == [1, 2, 3, 4, 5]
    buffer.delivered(taken[:3])
    assert buffer.accounts()["a"] == Account(received=5, delivered=3, buffered=2)
    buffer.give_back()
    assert numbers(buffer.take(0)) == [4, 5]


def test_kafka_ack_waits_for_delivery(buffer: Buffer) -> None:

    async def deliver_later() -> None:
        sender = asyncio.create_task(buffer.put("a", numbered("a", 1, 3), Ack.KAFKA))
        await asyncio.sleep(0)
        taken = buffer.take(0)
        buffer.delivered(taken[:2])
        await asyncio.sleep(0)
        assert not sender.done()
        buffer.delivered(taken[2:])
        assert await sender is None

    asyncio.run(deliver_later())


def test_level_that_is_not_reached_in_time_is_said(buffer: Buffer) -> None:
    answer = asyncio.run(buffer.put("a", numbered("a", 1, 3), Ack.KAFKA, deadline_s=0.01))
    assert isinstance(answer, Unconfirmed)
    assert buffer.accounts()["a"] == Account(received=3, buffered=3)


def test_rejected_events_are_accounted_for_by_reason(buffer: Buffer) -> None:
    buffer.reject("a", RejectReason.NOT_JSON, 2)
    refusal = buffer.refuse("a", Turned.RATE_LIMITED, 3, 7)
    assert (refusal.is_quota, refusal.retry_after_s) == (True, 7)
    account = buffer.accounts()["a"]
    assert account == Account(received=5, rejected={RejectReason.NOT_JSON: 2, Turned.RATE_LIMITED: 3})
    assert account.unaccounted == 0


def test_ledger_survives_the_process(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path))
    asyncio.run(buffer.put("a", numbered("a", 1, 3)))
    buffer.delivered(buffer.take(0))
    buffer.reject("b", RejectReason.EMPTY)
    before = buffer.accounts()
    buffer.close()
    again = Buffer(BufferSettings(folder=tmp_path))
    assert again.accounts() == before
    again.close()


def test_durable_is_told_when_the_disk_has_it(buffer: Buffer) -> None:
    assert asyncio.run(buffer.put("a", numbered("a", 1, 50), Ack.DURABLE)) is None
    assert buffer.state().disk_bytes > 0
    assert buffer.accounts()["a"] == Account(received=50, buffered=50)


def test_sender_that_blocks_goes_on_when_there_is_room(buffer: Buffer) -> None:
    async def block() -> None:
        assert await buffer.put("blocks", numbered("blocks", 1, 100)) is None
        sender = asyncio.create_task(buffer.put("blocks", numbered("blocks", 101, 200)))
        await asyncio.sleep(0)
        assert buffer.accounts()["blocks"].received == 100
        buffer.delivered(buffer.take(0))
        assert await sender is None

    asyncio.run(block())
    assert numbers(buffer.take(0)) == list(range(101, 201))


def test_sender_that_has_blocked_long_enough_is_refused(buffer: Buffer) -> None:
    assert asyncio.run(buffer.put("hurries", numbered("hurries", 1, 100))) is None
    answer = asyncio.run(buffer.put("hurries", numbered("hurries", 101, 200)))
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.is_quota) == (Turned.TENANT_FULL, True)
    assert buffer.accounts()["hurries"] == Account(received=200, buffered=100, rejected={Turned.TENANT_FULL: 100})


def test_newest_events_are_refused(buffer: Buffer) -> None:
    assert asyncio.run(buffer.put("newest", numbered("newest", 1, 100))) is None
    assert isinstance(asyncio.run(buffer.put("newest", numbered("newest", 101, 101, 5_000))), Refusal)
    assert numbers(buffer.take(0)) == list(range(1, 101))


def test_oldest_events_are_dropped(buffer: Buffer) -> None:
    for first in range(1, 401, 100):
        assert asyncio.run(buffer.put("oldest", numbered("oldest", first, first + 99))) is None
    account = buffer.accounts()["oldest"]
    assert account == Account(received=400, buffered=account.buffered, dropped={Drop.OLDEST: 400 - account.buffered})
    assert 90 <= account.buffered <= 110
    assert numbers(buffer.take(0)) == list(range(401 - account.buffered, 401))


def test_who_waits_for_kafka_is_told_when_its_events_go_to_the_disk_behind_others(buffer: Buffer) -> None:
    for first in range(1, 1_001, 100):
        assert asyncio.run(buffer.put("a", numbered("a", first, first + 99, 2_000))) is None
    answer = asyncio.run(buffer.put("a", numbered("a", 1_001, 1_001), Ack.KAFKA, deadline_s=60))
    assert isinstance(answer, Unconfirmed)
    assert buffer.buffered == 1_001


def test_sender_waits_while_the_disk_is_slower(buffer: Buffer) -> None:
    for first in range(1, 1_501, 300):
        assert asyncio.run(buffer.put("a", numbered("a", first, first + 299, 1_000))) is None
        assert buffer.memory_bytes <= 1024 * 1024
    assert buffer.accounts()["a"] == Account(received=1_500, buffered=1_500)


def test_what_is_on_its_way_leaves_memory_for_what_comes_in(buffer: Buffer) -> None:
    async def put(first: int) -> None:
        for tenant in "abc":
            assert await buffer.put(tenant, numbered(tenant, first, first + 249), Ack.DURABLE) is None

    for first in range(1, 2_501, 250):
        asyncio.run(put(first))
        if first > 1_000:
            # Kafka is away: what can be taken is, and nothing arrives.
            while buffer.take(0):
                assert buffer.memory_bytes < 600 * 1024
    assert buffer.buffered == 7_500
    buffer.give_back()
    found: dict[str, list[int]] = {tenant: [] for tenant in "abc"}
    while taken := buffer.take(0):
        buffer.delivered(taken)
        found[taken[0].tenant].extend(numbers(taken))
    assert found == {tenant: list(range(1, 2_501)) for tenant in "abc"}


def test_taker_that_is_always_there_leaves_memory_for_what_comes_in(buffer: Buffer) -> None:
    stop = Event()

    def take() -> None:
        while not stop.is_set():
            buffer.take(0.05)

    taker = Thread(target=take)
    taker.start()
    try:
        for first in range(1, 601, 100):
            for tenant in "abc":
                events = numbered(tenant, first, first + 99, 1_000)
                assert asyncio.run(buffer.put(tenant, events, Ack.DURABLE, deadline_s=60)) is None
    finally:
        stop.set()
        taker.join()
    assert buffer.buffered == 1_800


def test_tenant_more_than_the_ledger_holds_is_refused_and_counted(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path, tenants_max=2))
    answers = [asyncio.run(buffer.put(tenant, numbered(tenant, 1, 2))) for tenant in "abcd"]
    assert [answer is None for answer in answers] == [True, True, False, False]
    buffer.reject("e", RejectReason.NOT_JSON)
    assert buffer.accounts()[""] == Account(received=5, rejected={Turned.TENANTS_FULL: 4, RejectReason.NOT_JSON: 1})
    buffer.close()
