"""Whatever happens in whatever order, each tenant's events leave in theirs, and what a sender was told holds."""

import asyncio
import shutil
import tempfile
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from jobs.ingestion.buffer.event import Waiting
from jobs.ingestion.buffer.files import Files
from jobs.ingestion.buffer.receipt import Receipt
from jobs.ingestion.buffer.settings import BufferSettings, TenantRoom
from jobs.ingestion.buffer.store import Store
from tests.buffer_events import in_order, numbered, numbers, turn
from udfs.ingestion.account import Drop
from udfs.ingestion.room import Take, WhenFull

TENANTS = ("newest", "oldest", "other")
KB = 1024


class BufferMachine(RuleBasedStateMachine):
    """The store beside plain lists: `waiting` is what has to leave, in order, `flying` what has been taken."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.home = Path(tempfile.mkdtemp(prefix="sentinel-buffer-"))
        self.copies = count()
        self.now_s = 0.0
        self.waiting: dict[str, list[int]] = {tenant: [] for tenant in TENANTS}
        self.flying: list[Waiting] = []
        self.durable: dict[str, set[int]] = {tenant: set() for tenant in TENANTS}
        self.gone: dict[str, set[int]] = {tenant: set() for tenant in TENANTS}
        self.last = dict.fromkeys(TENANTS, 0)
        self.receipts: list[tuple[str, range, Receipt]] = []
        self.folder = self.home / "first"
        self.store = self.opened(self.folder)

    def opened(self, folder: Path) -> Store:
        return Store(
            BufferSettings(
                folder=folder,
                memory_bytes=1024 * KB,
                disk_bytes=4096 * KB,
                segment_bytes=128 * KB,
                room=TenantRoom(share=0.3, when_full=WhenFull.NEWEST),
                tenants={"oldest": TenantRoom(share=0.3, when_full=WhenFull.OLDEST)},
            ),
            lambda: self.now_s,
            Files(),
        )

    @rule(
        tenant=st.sampled_from(TENANTS),
        events=st.integers(1, 40),
        size=st.sampled_from([30, 1 * KB, 10 * KB]),
        waits=st.booleans(),
    )
    def put(self, tenant: str, events: int, size: int, *, waits: bool) -> None:
        first, last = self.last[tenant] + 1, self.last[tenant] + events
        dropped = self.dropped(tenant)

        async def offer() -> None:
            receipt = Receipt(events, kafka_only=False) if waits else None
            if isinstance(self.store.offer(tenant, numbered(tenant, first, last, size), receipt), Take):
                self.last[tenant] = last
                self.give_up(tenant, self.dropped(tenant) - dropped)
                self.waiting[tenant].extend(range(first, last + 1))
                if receipt is not None:
                    self.receipts.append((tenant, range(first, last + 1), receipt))

        self.loop.run_until_complete(offer())

    @rule(seconds=st.sampled_from([0.01, 0.03, 1.0]), everything=st.booleans())
    def write(self, seconds: float, *, everything: bool) -> None:
        self.now_s += seconds
        self.store.write(everything=everything)
        turn(self.loop)
        for tenant, written, receipt in self.receipts:
            if receipt.open == 0:
                self.durable[tenant].update(written)
        self.receipts = [each for each in self.receipts if each[2].open]

    @rule()
    def take(self) -> None:
        taken = self.store.take(0)
        for tenant in {event.tenant for event in taken}:
            expected = self.not_taken(tenant)
            of_tenant = numbers(event for event in taken if event.tenant == tenant)
            assert of_tenant == expected[: len(of_tenant)]
        self.flying.extend(taken)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(range(len(self.flying))), unique=True, min_size=1))
        self.store.delivered([self.flying[at] for at in some])
        for at in some:
            self.leave(self.flying[at])
        self.flying = [event for at, event in enumerate(self.flying) if at not in set(some)]

    @precondition(lambda self: self.flying)
    @rule()
    def deliver_all(self) -> None:
        self.store.delivered(self.flying)
        for event in self.flying:
            self.leave(event)
        self.flying = []

    @rule()
    def give_back(self) -> None:
        self.store.give_back()
        self.flying = []

    @rule()
    def crash(self) -> None:
        """Go on with what would be there if the process were killed now."""
        copy = self.home / str(next(self.copies))
        shutil.copytree(self.folder, copy)
        self.store.close()
        before = {tenant: account.received for tenant, account in self.store_accounts.items()}
        self.folder = copy
        buffered = self.buffered()
        self.store = self.opened(copy)
        self.flying, self.receipts = [], []
        for tenant, account in self.store.accounts().items():
            found = buffered[tenant]
            assert in_order(found)
            assert set(found) <= set(range(1, self.last[tenant] + 1))
            assert self.durable[tenant] - self.gone[tenant] <= set(found)
            assert account.received == before[tenant]
            assert account.dropped.get(Drop.CRASH, 0) <= before[tenant]
            assert Drop.DAMAGED not in account.dropped
            self.gone[tenant] -= set(found)
            self.waiting[tenant] = found

    def leave(self, event: Waiting) -> None:
        self.gone[event.tenant].update(numbers([event]))
        self.pop_gone(event.tenant)

    def give_up(self, tenant: str, events: int) -> None:
        """Drop the oldest ones that are not on their way."""
        dropped = self.not_taken(tenant)[:events]
        self.waiting[tenant] = [number for number in self.waiting[tenant] if number not in set(dropped)]
        self.gone[tenant].update(dropped)
        self.pop_gone(tenant)

    def pop_gone(self, tenant: str) -> None:
        """What is delivered counts as buffered until all before it is."""
        while self.waiting[tenant] and self.waiting[tenant][0] in self.gone[tenant]:
            self.waiting[tenant].pop(0)

    def not_taken(self, tenant: str) -> list[int]:
        flying = set(numbers(event for event in self.flying if event.tenant == tenant))
        return [number for number in self.waiting[tenant] if number not in flying | self.gone[tenant]]

    def buffered(self) -> dict[str, list[int]]:
        """Return all numbers in a copy of the store."""
        copy = self.home / str(next(self.copies))
        shutil.copytree(self.folder, copy)
        store = self.opened(copy)
        found: dict[str, list[int]] = {tenant: [] for tenant in TENANTS}
        while some := store.take(0):
            store.delivered(some)
            for event in some:
                found[event.tenant].extend(numbers([event]))
        store.close()
        return found

    def dropped(self, tenant: str) -> int:
        account = self.store.accounts().get(tenant)
        return account.dropped.get(Drop.OLDEST, 0) if account else 0

    @invariant()
    def accounts_balance(self) -> None:
        self.store_accounts = self.store.accounts()
        for tenant, account in self.store_accounts.items():
            assert account.unaccounted == 0
            assert account.buffered == len(self.waiting[tenant])

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.store.state().memory_bytes <= 1024 * KB

    def teardown(self) -> None:
        self.store.close()
        self.loop.close()
        shutil.rmtree(self.home)


BufferMachine.TestCase.settings = settings(max_examples=8, stateful_step_count=30)
TestBuffer = BufferMachine.TestCase


@pytest.mark.slow
def test_longer() -> None:
    run_state_machine_as_test(BufferMachine, settings=settings(max_examples=400, stateful_step_count=60))
