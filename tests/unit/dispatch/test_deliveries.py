"""No alert is lost and none is told twice: over restarts, refusing receivers, killed and competing instances."""

import contextlib
import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.stack.waiting import wait_until
from tests.dispatch_runs import CONFIGURATION, DispatchRun
from tests.postgres_server import PostgresServer, postgres_server
from tests.webhook_receiver import Receiver, webhook_receiver

pytestmark = pytest.mark.process

KILLS = int(os.environ.get("SENTINEL_KILLS", "4"))
MANY_KILLS = 200


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with postgres_server(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


class Sender(threading.Thread):
    """Posts one alert after another to whichever instance answers; `taken` are those answered with 200."""

    def __init__(self, addresses: Callable[[], list[str]], prefix: str, pause_s: float) -> None:
        super().__init__(daemon=True)
        self._addresses = addresses
        self._prefix = prefix
        self._pause_s = pause_s
        self._ended = threading.Event()
        self.taken: list[str] = []

    def run(self) -> None:
        """Post until it is to end."""
        number = 0
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not self._ended.is_set():
                name = f"{self._prefix}{number}"
                if any(self._post(client, address, name) for address in self._addresses()):
                    self.taken.append(name)
                    number += 1
                self._ended.wait(self._pause_s)

    def end(self) -> list[str]:
        """Stop, and return what was taken."""
        self._ended.set()
        self.join(60)
        return self.taken

    def _post(self, client: httpx.Client, address: str, name: str) -> bool:
        try:
            answer = client.post(f"{address}/api/v2/alerts", json=[{"labels": {"alertname": name}}])
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


def ids_by_alert(receiver: Receiver) -> dict[str, list[str]]:
    """Return the identifiers of the notices that told of each alert firing, in order."""
    found: dict[str, list[str]] = {}
    for told in receiver.told:
        for name in told.firing:
            found.setdefault(name, []).append(told.id)
    return found


def assert_all_told_once(receiver: Receiver, taken: list[str], *, may_repeat: bool) -> int:
    """Return how many notices came more than once; each of those under one identifier."""
    wanted = set(taken)
    receiver.wait_for(lambda all_: wanted <= ids_by_alert(all_).keys(), "every alert that was taken", deadline_s=120)
    ids = ids_by_alert(receiver)
    twice = {name: found for name, found in ids.items() if len(set(found)) > 1}
    assert not twice, f"told under different identifiers: {twice}"
    repeated = sum(count - 1 for count in Counter(each for found in ids.values() for each in found).values())
    assert may_repeat or repeated == 0
    return repeated


def test_refused_notice_is_sent_again_under_the_same_identifier(receiver: Receiver, tmp_path: Path) -> None:
    run = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url)).start()
    try:
        receiver.status = 503
        run.fire("Refused")
        receiver.wait_for(lambda all_: all_.refused >= 2, "two refused tries")
        # Stopped and started again meanwhile.
        assert run.stop() == 0
        run.start()
        refused = receiver.refused
        receiver.wait_for(lambda all_: all_.refused > refused, "a try of the second run")
        receiver.status = 200
        assert_all_told_once(receiver, ["Refused"], may_repeat=False)
        (kept,) = run.get("/api/v1/notifications", state="sent")
        assert kept["id"] == receiver.told[0].id
    finally:
        run.kill()


def test_resolved_alert_is_told_once_over_a_restart(receiver: Receiver, tmp_path: Path) -> None:
    run = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url)).start()
    try:
        run.fire("Ends", "Stays")
        receiver.wait_for(lambda all_: {"Ends", "Stays"} <= ids_by_alert(all_).keys(), "both")
        # What is told and not yet recorded may be told again: that is another test's.
        wait_until(lambda: len(run.get("/api/v1/notifications", state="sent")) == 2, "the record", deadline_s=60)
        run.kill()
        run.start()
        run.post("/api/v2/alerts", [{"labels": {"alertname": "Ends"}, "endsAt": "2026-01-01T00:00:00Z"}])
        receiver.wait_for(lambda all_: any("Ends" in told.resolved for told in all_.told), "the end")
        # One more group interval of the other group goes by; nothing is told of it again.
        run.fire("Last")
        receiver.wait_for(lambda all_: "Last" in ids_by_alert(all_), "the last")
        assert [len(ids_by_alert(receiver)[name]) for name in ("Ends", "Stays", "Last")] == [1, 1, 1]
        assert sum("Ends" in told.resolved for told in receiver.told) == 1
    finally:
        run.kill()


@pytest.mark.parametrize(
    "kills", [KILLS, pytest.param(MANY_KILLS, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_killed_at_any_point_it_loses_no_alert_and_repeats_under_one_identifier(
    receiver: Receiver, tmp_path: Path, kills: int
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to repeat it
    chance = random.Random(seed)
    run = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url)).start()
    sender = Sender(lambda: [run.address], "Alert", 0.005)
    sender.start()
    try:
        for _ in range(kills):
            # A random moment of its life is what this is about: while it starts, loads, writes or sends.
            time.sleep(chance.uniform(0, 0.6))
            run.kill()
            run.start(wait=chance.random() < 0.7)
        taken = sender.end()
        repeated = assert_all_told_once(receiver, taken, may_repeat=True)
        print(f"{kills} kills, {len(taken)} alerts, {repeated} notices repeated")  # noqa: T201 - the measure of it
        assert len(taken) > kills
        resumed = sum("ended during try" in line for line in run.log.read_text().splitlines())
        assert repeated <= resumed
    finally:
        sender.end()
        run.kill()


def test_killed_leader_is_replaced_in_seconds_and_nothing_is_lost_or_doubled(
    receiver: Receiver, tmp_path: Path, postgresql: PostgresServer
) -> None:
    store = postgresql.schema(f"dispatch_{os.getpid()}")
    runs = [
        DispatchRun(tmp_path / name, CONFIGURATION.format(url=receiver.url), store=store).start()
        for name in ("first", "second")
    ]
    sender = Sender(lambda: [run.address for run in runs], "Shared", 0.01)
    try:
        # Both answer: the one that follows asks the one that leads.
        for run in runs:
            assert run.get("/api/v2/status")["cluster"]["status"] == "ready"
        sender.start()
        receiver.wait_for(lambda all_: len(all_.told) > 20, "the first notices")
        for _ in range(2):
            leader = next(run for run in runs if leads(run))
            other = next(run for run in runs if run is not leader)
            wanted = len(receiver.told) + 5
            leader.kill()
            killed_at = time.monotonic()
            wait_until(partial(leads, other), "the other one to lead", deadline_s=120)
            print(f"taken over after {time.monotonic() - killed_at:.1f} s")  # noqa: T201 - the measure of it
            wait_until(partial(has_more_than, receiver, wanted), "notices of the other one", deadline_s=120)
            leader.start()
        repeated = assert_all_told_once(receiver, sender.end(), may_repeat=True)
        resumed = sum(run.log.read_text().count("ended during try") for run in runs)
        assert repeated <= resumed
    finally:
        sender.end()
        for run in runs:
            run.kill()


def has_more_than(receiver: Receiver, number: int) -> bool:
    return len(receiver.told) > number


def leads(run: DispatchRun) -> bool:
    return "sentinel_dispatch_leader 1.0" in httpx.get(f"{run.address}/metrics", trust_env=False, timeout=60).text


def _post_until_refused(client: httpx.Client, run: DispatchRun, fields: dict[str, Any]) -> None:
    """Post until the store refuses; the last one waits for it, and is answered by the end of the process."""
    with contextlib.suppress(httpx.HTTPError):
        for number in range(1_000):
            body = [{"labels": {"alertname": f"Big{number}"}, **fields}]
            if client.post(f"{run.address}/api/v2/alerts", json=body).status_code != 200:
                return


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_full_disk_accepts_nothing_and_is_said(receiver: Receiver, tmp_path: Path) -> None:
    """A store that refuses is found by being asked: an outbox whose file may not grow."""
    run = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url))
    run.limit_files_to(600_000)
    run.start()
    try:
        big: dict[str, Any] = {"annotations": {"description": "x" * 20_000}}
        with httpx.Client(timeout=60, trust_env=False) as client:
            waiting = threading.Thread(target=_post_until_refused, args=(client, run, big), daemon=True)
            waiting.start()
            run.wait_until_said("does not take changes")
            ready = client.get(f"{run.address}/-/ready")
            assert ready.status_code == 503
            assert "does not take changes" in ready.text
            posted = client.post(f"{run.address}/api/v2/alerts", json=[{"labels": {"alertname": "More"}}])
            assert (posted.status_code, "retry-after" in posted.headers) == (503, True)
    finally:
        run.kill()
