"""Whatever the disk does, the buffer starts, keeps what is whole, says what is not, and accounts for it."""

import asyncio
import errno
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from jobs.errors import SentinelError
from jobs.ingestion.buffer import Ack, Buffer, BufferSettings, Refusal, TenantRoom
from jobs.ingestion.buffer.event import Waiting
from jobs.ingestion.buffer.files import Files
from jobs.ingestion.buffer.receipt import Receipt
from jobs.ingestion.buffer.store import Blocked, Store
from tests.buffer_events import in_order, numbered, numbers, turn
from tests.failing_files import Clock, FailingFiles, KilledError
from udfs.ingestion.account import Account, Drop, Turned
from udfs.ingestion.room import Refuse, Take, WhenFull

pytestmark = pytest.mark.process

KB = 1024
LEFT = 3
"""Events in the log that the fixture `left` leaves."""


def opened(
    folder: Path, files: Files | None = None, clock: Callable[[], float] | None = None, *, segment_bytes: int = 64 * KB
) -> Store:
    settings = BufferSettings(folder=folder, memory_bytes=1024 * KB, disk_bytes=4096 * KB, segment_bytes=segment_bytes)
    return Store(settings, clock or Clock(), files or Files())


def everything(store: Store) -> list[Waiting]:
    taken = []
    while some := store.take(0):
        taken.extend(some)
    return taken


def put_now(store: Store, tenant: str, first: int) -> Take | Refuse:
    """Put 10 events of 10 kB; while memory is needed for them, bring others to the disk."""

    async def put() -> Take | Refuse:
        while isinstance(answer := store.offer(tenant, numbered(tenant, first, first + 9, 10_000), None), Blocked):
            store.write(everything=True)
        return answer

    return asyncio.run(put())


def drained(store: Store) -> list[Waiting]:
    taken = []
    while some := store.take(0):
        store.delivered(some)
        taken.extend(some)
    return taken


def filled(folder: Path, events: int, size: int = 40) -> Path:
    """Leave so many events in the log, as a killed process would, and return the folder."""
    store = opened(folder / "original")
    store.offer("a", numbered("a", 1, events, size), None)
    store.write(everything=True)
    shutil.copytree(folder / "original", folder / "left")
    store.close()
    return folder / "left"


def the_segment(folder: Path) -> Path:
    (segment,) = folder.glob("log/*.log")
    return segment


@pytest.fixture
def left(tmp_path: Path) -> Path:
    return filled(tmp_path, LEFT)


def test_log_torn_at_any_byte_keeps_what_is_before(left: Path, tmp_path: Path) -> None:
    whole = the_segment(left).read_bytes().rstrip(b"\0")
    length = len(whole) // LEFT
    for end in range(len(whole) + 1):
        folder = shutil.copytree(left, tmp_path / str(end))
        the_segment(folder).write_bytes(whole[:end] + bytes(500))
        store = opened(folder)
        kept = end // length
        assert numbers(everything(store)) == list(range(1, kept + 1))
        lost = {Drop.CRASH: LEFT - kept} if kept < LEFT else {}
        assert store.accounts() == {"a": Account(received=LEFT, buffered=kept, dropped=lost)}
        assert store.state().torn_bytes == len(whole[kept * length : end].rstrip(b"\0"))
        store.close()
        shutil.rmtree(folder)


def test_log_damaged_at_any_byte_loses_that_event_alone_and_keeps_its_bytes(left: Path, tmp_path: Path) -> None:
    whole = the_segment(left).read_bytes()
    length = len(whole.rstrip(b"\0")) // LEFT
    for at in range(2 * length):
        folder = shutil.copytree(left, tmp_path / str(at))
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        the_segment(folder).write_bytes(damaged)
        store = opened(folder)
        lost = at // length + 1
        assert numbers(everything(store)) == [number for number in range(1, LEFT + 1) if number != lost]
        account = store.accounts()["a"]
        assert account.unaccounted == 0
        assert sum(account.dropped.values()) == 1
        (quarantined,) = (folder / "log" / "quarantine").iterdir()
        assert quarantined.read_bytes() == bytes(damaged[(lost - 1) * length : lost * length])
        store.close()
        shutil.rmtree(folder)


def test_damage_is_told_apart_from_a_crash(left: Path) -> None:
    content = bytearray(the_segment(left).read_bytes())
    content[60] ^= 1
    the_segment(left).write_bytes(content)
    store = opened(left)
    assert store.accounts()["a"].dropped == {Drop.DAMAGED: 1}
    store.close()


def test_damage_while_the_buffer_runs_is_found_when_it_is_read(tmp_path: Path) -> None:
    folder = filled(tmp_path, 6)
    store = opened(folder)
    with the_segment(folder).open("r+b") as file:
        file.seek(60)
        file.write(b"?")
    taken = everything(store)
    assert numbers(taken) == [2, 3, 4, 5, 6]
    store.delivered(taken)
    assert store.accounts()["a"] == Account(received=6, delivered=5, dropped={Drop.DAMAGED: 1})
    store.close()


def test_damaged_end_is_passed_over_for_good(tmp_path: Path) -> None:
    folder = filled(tmp_path, 6)
    store = opened(folder)
    size = len(the_segment(folder).read_bytes().rstrip(b"\0"))
    with the_segment(folder).open("r+b") as file:
        file.seek(size - 3)
        file.write(b"???")
    store.delivered(everything(store))
    assert store.accounts()["a"] == Account(received=6, delivered=5, dropped={Drop.DAMAGED: 1})
    store.write()
    assert not list(folder.glob("log/*.log"))
    store.close()


@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(10_000), b"sentinel ledger 1\n"])
def test_lost_or_damaged_ledger_repeats_events_and_loses_none(left: Path, content: bytes) -> None:
    (left / "ledger").write_bytes(content)
    store = opened(left)
    assert numbers(everything(store)) == [1, 2, 3]
    assert store.accounts()["a"] == Account(received=LEFT, buffered=LEFT)
    store.close()


def test_ledger_older_than_the_log_as_after_a_loss_of_power_loses_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path / "first")
    store.offer("a", numbered("a", 1, 20), None)
    store.delivered(store.take(0)[:5])
    older = (tmp_path / "first" / "ledger").read_bytes()
    store.write(everything=True)
    store.offer("a", numbered("a", 21, 30), None)
    store.offer("b", numbered("b", 1, 7), None)
    store.write(everything=True)
    store.delivered(store.take(0)[:5])
    shutil.copytree(tmp_path / "first", tmp_path / "left")
    store.close()

    (tmp_path / "left" / "ledger").write_bytes(older)
    store = opened(tmp_path / "left")
    accounts = store.accounts()
    assert accounts == {
        "a": Account(received=30, delivered=5, buffered=25),
        "b": Account(received=7, buffered=7),
    }
    store.offer("a", numbered("a", 31, 31), None)
    taken = everything(store)
    assert numbers(event for event in taken if event.tenant == "a") == list(range(6, 32))
    store.delivered(taken)
    assert store.accounts()["a"] == Account(received=31, delivered=31)
    store.close()


def test_foreign_file_in_the_folder_is_left_alone(left: Path) -> None:
    (left / "log" / "notes.log").write_text("mine")
    store = opened(left)
    assert len(everything(store)) == LEFT
    store.close()
    assert (left / "log" / "notes.log").read_text() == "mine"


def test_folder_is_for_one_process(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(SentinelError, match=r"^Another process uses the buffer .*: give each its own folder\.$"):
        opened(tmp_path)
    store.close()


def test_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        SentinelError, match=r"^Cannot use the folder .*/file/buffer for the buffer: Not a directory\.$"
    ):
        opened(tmp_path / "file" / "buffer")


def run_with(folder: Path, files: Files) -> tuple[set[int], set[int], bool]:
    """Put, write and deliver until a step kills the process; return what was durable, what arrived, and if it died."""
    loop = asyncio.new_event_loop()
    clock = Clock()
    durable: set[int] = set()
    arrived: set[int] = set()
    store = opened(folder, files, clock)
    last = 0

    async def put() -> Receipt:
        receipt = Receipt(20, kafka_only=False)
        store.offer("a", numbered("a", last + 1, last + 20, 1_000), receipt)
        return receipt

    died = False
    try:
        for step in range(12):
            receipt = loop.run_until_complete(put())
            first, last = last + 1, last + 20
            clock.now_s += 1
            store.write()
            turn(loop)
            if receipt.open == 0:
                durable.update(range(first, last + 1))
            if step % 3 == 2:
                taken = store.take(0)
                arrived.update(numbers(taken))
                store.delivered(taken)
        while store.write(everything=True):
            pass
        assert store.accounts()["a"].unaccounted == 0
    except KilledError:
        died = True
    shutil.copytree(folder, folder.with_suffix(".left"))
    store.close()
    loop.close()
    return durable, arrived, died


def test_process_that_dies_at_any_step_of_the_disk_loses_nothing_durable(tmp_path: Path) -> None:
    for step in range(1, 200):
        folder = tmp_path / str(step)
        durable, arrived, died = run_with(folder, FailingFiles(step, KilledError()))
        if not died:
            assert step > 20
            return
        store = opened(folder.with_suffix(".left"))
        found = numbers(drained(store))
        assert in_order(found)
        assert durable <= arrived | set(found)
        assert store.accounts()["a"].unaccounted == 0
        store.close()
        shutil.rmtree(folder)
        shutil.rmtree(folder.with_suffix(".left"))
    pytest.fail("it never came to the end")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_failure_at_any_step_of_the_disk_is_survived(tmp_path: Path, number: int) -> None:
    for step in range(1, 200):
        folder = tmp_path / str(step)
        files = FailingFiles(step, OSError(number, "it failed"))
        durable, arrived, _ = run_with(folder, files)
        if files.steps_left > 0:
            assert step > 20
            return
        store = opened(folder.with_suffix(".left"))
        found = numbers(drained(store))
        # The step was repeated: everything is there, what was delivered too if its segment could not be deleted.
        assert durable <= arrived | set(found)
        assert arrived | set(found) == set(range(1, 241))
        assert in_order(found)
        store.close()
        shutil.rmtree(folder)
        shutil.rmtree(folder.with_suffix(".left"))
    pytest.fail("it never came to the end")


def test_full_disk_is_said_and_what_is_deleted_makes_room(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, clock=clock, segment_bytes=1024 * KB)
    last = 0
    while not isinstance(decision := put_now(store, "a", last + 1), Refuse):
        last += 10
        clock.now_s += 1
        store.write()
        assert last < 1_000
    assert decision.reason is Turned.TENANT_FULL

    last_b = 0
    while not isinstance(decision := put_now(store, "b", last_b + 1), Refuse):
        last_b += 10
        clock.now_s += 1
        store.write()
        assert last_b < 1_000
    assert decision.reason is Turned.DISK_FULL
    assert store.state().disk_problem == "the buffer may not take more of the disk"
    assert store.state().disk_bytes <= 4 * 1024 * KB

    taken = drained(store)
    assert numbers(event for event in taken if event.tenant == "a") == list(range(1, last + 1))
    store.write(everything=True)
    assert not isinstance(store.offer("b", numbered("b", last_b + 11, last_b + 20, 10_000), None), Refuse)
    store.write(everything=True)
    assert store.state().disk_problem == ""
    assert all(account.unaccounted == 0 for account in store.accounts().values())
    store.close()


def test_sender_that_wants_the_disk_is_refused_when_it_is_full_and_nothing_leaves(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, FailingFiles(1, OSError(errno.ENOSPC, "No space left on device")), clock)
    store.offer("a", numbered("a", 1, 1), None)
    clock.now_s += 1
    assert not store.write()
    assert store.state().disk_problem == "the disk is full"

    async def put(events: int) -> object:
        return store.offer("a", numbered("a", 2, events), Receipt(1, kafka_only=False))

    assert not isinstance(asyncio.run(put(2)), Refuse)
    clock.now_s += 1
    assert asyncio.run(put(3)) == Refuse(Turned.DISK_FULL)
    store.close()


def test_closed_buffer_keeps_everything(tmp_path: Path) -> None:
    settings = BufferSettings(folder=tmp_path)
    buffer = Buffer(settings)
    asyncio.run(buffer.put("a", numbered("a", 1, 500)))
    buffer.stop_taking_in()
    answer = asyncio.run(buffer.put("a", numbered("a", 501, 501), Ack.DURABLE))
    assert isinstance(answer, Refusal)
    assert answer.reason is Turned.CLOSING
    buffer.close()
    again = Buffer(settings)
    assert numbers([*again.take(0), *again.take(0)]) == list(range(1, 501))
    assert again.accounts()["a"] == Account(received=501, buffered=500, rejected={Turned.CLOSING: 1})
    again.close()


def test_what_one_tenant_gives_up_makes_room_beside_what_another_one_keeps(tmp_path: Path) -> None:
    clock = Clock()
    settings = BufferSettings(
        folder=tmp_path,
        memory_bytes=1024 * KB,
        disk_bytes=4096 * KB,
        segment_bytes=256 * KB,
        tenants={"oldest": TenantRoom(share=0.4, when_full=WhenFull.OLDEST), "keeps": TenantRoom(share=0.3)},
    )
    store = Store(settings, clock, Files())
    last = kept = 0
    for _ in range(200):
        assert isinstance(store.offer("oldest", numbered("oldest", last + 1, last + 5, 10_000), None), Take)
        last += 5
        if not isinstance(store.offer("keeps", numbered("keeps", kept + 1, kept + 1, 10_000), None), Refuse):
            kept += 1
        clock.now_s += 1
        while store.write(everything=True) or store.state().disk_problem:
            pass
        assert store.state().disk_bytes <= 4096 * KB
    assert kept > 20
    accounts = store.accounts()
    assert all(account.unaccounted == 0 for account in accounts.values())
    assert accounts["oldest"].buffered + accounts["oldest"].dropped[Drop.OLDEST] == last
    assert accounts["oldest"].received == last
    shutil.copytree(tmp_path, tmp_path.with_suffix(".left"))
    for each in (store, Store(settings_in(settings, tmp_path.with_suffix(".left")), clock, Files())):
        taken = drained(each)
        assert numbers(event for event in taken if event.tenant == "keeps") == list(range(1, kept + 1))
        newest = numbers(event for event in taken if event.tenant == "oldest")
        assert newest == list(range(last - accounts["oldest"].buffered + 1, last + 1))
        each.close()


def settings_in(settings: BufferSettings, folder: Path) -> BufferSettings:
    return structs.replace(settings, folder=folder)


def test_file_that_may_not_be_larger_is_a_full_disk(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, clock=clock, segment_bytes=512 * KB)
    store.offer("a", numbered("a", 1, 3), None)
    clock.now_s += 1
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * KB, hard))
    try:
        assert not store.write()
        assert store.state().disk_problem == "the disk is full"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.write()
    assert store.state().disk_problem == ""
    assert numbers(everything(store)) == [1, 2, 3]
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"needs to mount a file system: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4_096))


def test_disk_that_is_really_full_is_survived_and_can_be_drained(small_disk: Path) -> None:
    clock = Clock()
    settings = BufferSettings(
        folder=small_disk / "buffer", memory_bytes=1024 * KB, disk_bytes=64 * 1024 * KB, segment_bytes=256 * KB
    )
    store = Store(settings, clock, Files())
    last = 0
    while not isinstance(decision := put_now(store, "a", last + 1), Refuse):
        last += 10
        clock.now_s += 1
        store.write()
        assert last < 1_000
    assert decision.reason is Turned.DISK_FULL
    assert store.state().disk_problem == "the disk has too little space left"

    with pytest.raises(OSError, match="No space left"):
        fill(small_disk / "filler")
    # Not a byte is left: counting, delivering and deleting go on all the same.
    half = store.take(0)
    store.delivered(half)
    store.write()
    assert store.accounts()["a"] == Account(
        received=last + 10, delivered=len(half), buffered=last - len(half), rejected={Turned.DISK_FULL: 10}
    )
    drained(store)
    store.write()
    assert store.accounts()["a"].delivered == last
    (small_disk / "filler").unlink()
    assert not isinstance(store.offer("a", numbered("a", last + 1, last + 1), None), Refuse)
    assert store.write(everything=True)
    store.close()


def test_wall_clock_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def jumped() -> float:
        raise AssertionError("what time it is does not matter")

    with monkeypatch.context() as patched:
        patched.setattr("time.time", jumped)
        buffer = Buffer(BufferSettings(folder=tmp_path))
        assert asyncio.run(buffer.put("a", numbered("a", 1, 3), Ack.DURABLE)) is None
        buffer.delivered(buffer.take(0))
        assert buffer.oldest_age_s() == 0
        buffer.close()
