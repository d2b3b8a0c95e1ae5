"""The buffer keeps the order of each tenant, is fair between tenants, and accounts for every event."""

import asyncio
from pathlib import Path

from jobs.ingestion.buffer import Ack, Buffer, BufferSettings, Keyed, Unconfirmed, Waiting
from schemas.dead_letter import RejectReason
from udfs.ingestion.account import Account, Turned


def events(tenant: str, first: int, last: int, size: int = 100) -> list[Keyed]:
    return [
        Keyed(f"{tenant}|app".encode(), f"{tenant} {n} ".encode().ljust(size, b".")) for n in range(first, last + 1)
    ]


def numbers(taken: list[Waiting]) -> list[int]:
    return [int(each.value.split()[1]) for each in taken]


def test_events_leave_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path))
    asyncio.run(buffer.put("a", events("a", 1, 3)))
    asyncio.run(buffer.put("a", events("a", 4, 5)))
    taken = buffer.take(0)
    assert numbers(taken) == [1, 2, 3, 4, 5]
    buffer.delivered(taken[:3])
    assert buffer.accounts()["a"] == Account(received=5, delivered=3, buffered=2)
    buffer.give_back()
    assert numbers(buffer.take(0)) == [4, 5]


def test_kafka_ack_waits_for_delivery(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path))

    async def deliver_later() -> None:
        sender = asyncio.create_task(buffer.put("a", events("a", 1, 3), Ack.KAFKA))
        await asyncio.sleep(0)
        taken = buffer.take(0)
        buffer.delivered(taken[:2])
        await asyncio.sleep(0)
        assert not sender.done()
        buffer.delivered(taken[2:])
        assert await sender is None

    asyncio.run(deliver_later())


def test_level_that_is_not_reached_in_time_is_said(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path))
    answer = asyncio.run(buffer.put("a", events("a", 1, 3), Ack.KAFKA, deadline_s=0.01))
    assert isinstance(answer, Unconfirmed)
    assert buffer.accounts()["a"] == Account(received=3, buffered=3)


def test_rejected_events_are_accounted_for_by_reason(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path))
    buffer.reject("a", RejectReason.NOT_JSON, 2)
    refusal = buffer.refuse("a", Turned.RATE_LIMITED, 3, 7)
    assert (refusal.is_quota, refusal.retry_after_s) == (True, 7)
    account = buffer.accounts()["a"]
    assert account == Account(received=5, rejected={RejectReason.NOT_JSON: 2, Turned.RATE_LIMITED: 3})
    assert account.unaccounted == 0


def test_ledger_survives_the_process(tmp_path: Path) -> None:
    buffer = Buffer(BufferSettings(folder=tmp_path))
    asyncio.run(buffer.put("a", events("a", 1, 3)))
    buffer.delivered(buffer.take(0))
    buffer.reject("b", RejectReason.EMPTY)
    before = buffer.accounts()
    buffer.close()
    assert Buffer(BufferSettings(folder=tmp_path)).accounts() == before
