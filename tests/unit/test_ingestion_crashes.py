"""A process that keeps events may die at any instant: what it called durable is delivered, in order."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.ingestion.buffer import Buffer
from tests.buffer_events import in_order
from tests.buffer_feeder import TENANTS, settings
from udfs.ingestion.account import Drop

pytestmark = pytest.mark.process


def run_and_kill(folder: Path, seed: int, after_s: float) -> list[tuple[str, int, int]]:
    """Let the feeder run for so long after its first word; return what it called durable."""
    feeder = subprocess.Popen(
        [sys.executable, "-m", "tests.buffer_feeder", folder, str(seed)], stdout=subprocess.PIPE, text=True
    )
    assert feeder.stdout is not None
    first = feeder.stdout.readline()
    assert first, "the feeder did not start"
    try:
        feeder.wait(after_s)
    except subprocess.TimeoutExpired:
        feeder.kill()
    rest, _ = feeder.communicate()
    lines = [line.split() for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
    return [(tenant, int(low), int(high)) for tenant, low, high in lines]


def kill_again_and_again(folder: Path, kills: int) -> None:
    chance = random.Random(random.randrange(10**9))  # of the seed that pytest-randomly prints
    durable: dict[str, set[int]] = {tenant: set() for tenant in TENANTS}
    for _ in range(kills):
        for tenant, first, last in run_and_kill(folder, chance.randrange(10**9), chance.uniform(0, 0.15)):
            durable[tenant].update(range(first, last + 1))

    buffer = Buffer(settings(folder))
    left: list[str] = []
    while events := buffer.take(0):
        left.extend(event.value.decode().rstrip(".") for event in events)
        buffer.delivered(events)
    accounts = buffer.accounts()
    state = buffer.state()
    buffer.close()

    lines = (folder / "delivered").read_text().splitlines() + left
    arrived: dict[str, list[int]] = {tenant: [] for tenant in TENANTS}
    for line in lines:
        tenant, number = line.split()
        arrived[tenant].append(int(number))
    assert state.damaged_bytes == 0
    for tenant, account in accounts.items():
        # Nothing durable is lost, and nothing is new after something newer: what comes again comes in its order.
        assert durable[tenant] <= set(arrived[tenant])
        assert in_order(list(dict.fromkeys(arrived[tenant])))
        assert account.unaccounted == 0
        assert account.buffered == 0
        # Each event counts once, however often it was sent.
        assert account.delivered <= len(arrived[tenant])
        lost = account.dropped.get(Drop.CRASH, 0) + sum(account.rejected.values())
        assert account.received - lost <= len(set(arrived[tenant]))
        assert set(account.dropped) <= {Drop.CRASH}


def test_killed_process_loses_nothing_durable(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 6)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_process_killed_200_times_loses_nothing_durable(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 200)
