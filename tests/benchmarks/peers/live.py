"""Live: how soon a peer tells of a planted call at 5,000 events a second, and what a crash costs."""

import time
from collections.abc import Callable
from threading import Thread
from typing import Final

from msgspec import Struct

from jobs.bench.delays import delays_ms, percentile
from jobs.bench.live import divided
from jobs.bench.planting import Planting
from jobs.errors import SentinelError
from jobs.replay.bulk import Bulk, bulk_records
from jobs.replay.pace import paced
from jobs.replay.produce import TopicWriter
from tests.benchmarks.peers.drain import follow
from tests.benchmarks.peers.peer import Peer, Running, Task
from tests.benchmarks.peers.results import Results
from tests.benchmarks.peers.telemetry import LONGEST_WARM_UP_MS, Numbered, appended, create_topic
from tests.benchmarks.peers.verdict import Crash, Result, crash, first_told

RATE_PER_S: Final = 5_000.0
ENTITIES: Final = 400
_SPEED_UP: Final = 5.0
"""Event time runs so much faster than the clock, so that the planted calls of an entity lie a minute apart in it."""
_HISTORY_MS: Final = LONGEST_WARM_UP_MS
"""Event time before anything is planted."""
_PROOFS: Final = 8
"""Calls planted at the end of the history; when they are told of, the peer has come to the present."""
_PROOF_MS: Final = 10_000
_SETTLING_S: Final = 15.0
_BEFORE_S: Final = 40.0
_AFTER_S: Final = 30.0
"""How long calls are planted before and after the crash."""
_PLANTED: Final = 1_000
_CLEAR_MS: Final = 5_000
"""Calls so shortly before the crash may be told of after it, and have no delay."""
_DOWN_S: Final = 1.0
_CATCH_UP_S: Final = 120.0
_STALLED_S: Final = 90.0
"""Longer than any peer takes to come back: groups of consumers wait 45 s for a member that was killed."""


class Live(Struct, frozen=True, kw_only=True):
    """One live run."""

    p50_ms: int
    p99_ms: int
    """From the call's append to that of the first result about it, of those planted before the crash."""
    timed: int
    """How many calls that is of."""
    crash: Crash
    planted: int
    """In all, before and after the crash."""


def measure_live(peer: Peer, task: Task, *, tell: Callable[[str], None]) -> Live:
    """Warm the peer up, send calls at the rate, plant some, kill the peer, start it again, and count.

    Raises SentinelError if it does not come to the present, or cannot be started.
    """
    live_s = _SETTLING_S + _BEFORE_S + _AFTER_S
    live_ms = int(live_s * 1000 * _SPEED_UP)
    start_at_ms = int(time.time() * 1000) - _HISTORY_MS - live_ms
    live_at_ms = start_at_ms + _HISTORY_MS
    per_s = RATE_PER_S / _SPEED_UP
    events = int((_HISTORY_MS + live_ms) * per_s / 1000)
    bulk = Bulk(events=events, start_at_ms=start_at_ms, entities=ENTITIES, events_per_s=per_s)
    topic = create_topic(task.bootstrap_servers, task.calls)
    writer = TopicWriter(task.bootstrap_servers, task.calls)
    history, live = divided(bulk_records(bulk, writer.partitions), live_at_ms)
    proofs, planted = Numbered(), Numbered()
    proof = Planting(start_at_ms=live_at_ms - _PROOF_MS, end_at_ms=live_at_ms, wanted=_PROOFS)
    begin_at_ms = live_at_ms + int(_SETTLING_S * 1000 * _SPEED_UP)
    planting = Planting(start_at_ms=begin_at_ms, end_at_ms=start_at_ms + _HISTORY_MS + live_ms, wanted=_PLANTED)
    writer.write(proofs.of(history, lambda _: proof))
    writer.close()
    with Results(task.bootstrap_servers, task.found) as results:
        running = peer.start(task)
        try:
            warm = follow(results, running, proof.planted, longest_s=_CATCH_UP_S, stalled_s=_STALLED_S)
            if not warm:
                raise SentinelError(f"{peer.name} has not come to the present: see {task.logs}.")
            tell(f"{peer.name}: live")
            fault = Fault(running, _SETTLING_S + _BEFORE_S)
            fault.start()
            pace = paced(live, start_at_ms=live_at_ms, speed_up=_SPEED_UP, now_s=time.monotonic, wait_s=time.sleep)
            writer.write(planted.of(pace, lambda _: planting))
            writer.close()
            fault.join()
            told = follow(results, running, planting.planted, longest_s=_CATCH_UP_S, stalled_s=_STALLED_S)
        finally:
            running.stop()
    if fault.failure:
        raise fault.failure
    return verdict(appended(task.bootstrap_servers, topic, planting.planted), told, fault.killed_at_ms)


def verdict(partitions: list[dict[str, int]], told: list[Result], killed_at_ms: int) -> Live:
    """Return what the results say; `partitions` has the append times of the planted calls of each."""
    event_ids = [event_id for times in partitions for event_id in times]
    before = {
        event_id: at_ms for times in partitions for event_id, at_ms in times.items() if at_ms < killed_at_ms - _CLEAR_MS
    }
    delays = delays_ms(before, first_told(told, before).items())
    return Live(
        p50_ms=percentile(delays, 0.50),
        p99_ms=percentile(delays, 0.99),
        timed=len(delays),
        crash=crash(partitions, told),
        planted=len(event_ids),
    )


class Fault(Thread):
    """Kills a peer after some seconds and starts it again, beside the traffic."""

    def __init__(self, running: Running, after_s: float) -> None:
        super().__init__(name="fault")
        self._running = running
        self._after_s = after_s
        self.killed_at_ms = 0
        self.failure: SentinelError | None = None

    def run(self) -> None:
        """Do it, once."""
        time.sleep(self._after_s)
        self.killed_at_ms = int(time.time() * 1000)
        try:
            self._running.kill()
            time.sleep(_DOWN_S)
            self._running.restart()
        except SentinelError as error:
            self.failure = error
