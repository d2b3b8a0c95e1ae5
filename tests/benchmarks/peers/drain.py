"""Drain: how fast a peer takes a backlog, and what it finds in it."""

import time
from typing import Final

from msgspec import Struct

from jobs.bench.rates import rate_per_s, steady_part
from jobs.errors import SentinelError
from tests.benchmarks.peers.peer import Peer, Running, Task
from tests.benchmarks.peers.results import Results
from tests.benchmarks.peers.telemetry import Backlog
from tests.benchmarks.peers.usage import Usage
from tests.benchmarks.peers.verdict import Result, first_told, overtaken, progress

FIRST_S: Final = 180.0
"""How long a peer may take to its first result."""
_STALLED_S: Final = 20.0
"""Without a new call told of for this long, there is nothing more to come of a backlog."""
_GRACE_S: Final = 10.0
_CHECK_EVERY_S: Final = 2.0


class Drain(Struct, frozen=True, kw_only=True):
    """One drain."""

    events_per_s: float
    """Of the steady part."""
    steady_s: float
    cpu_s_per_million: float
    """Processor time of all of the peer's processes in the steady part, a million events."""
    peak_mb: float
    found: int
    planted: int
    """Those that it had to find: after its warm-up, and up to where it had come when its time was over."""


def measure_drain(peer: Peer, backlog: Backlog, task: Task, *, longest_s: float) -> Drain:
    """Start the peer on the whole backlog and follow its results, for at most so long after the first.

    Raises SentinelError if it cannot be started, ends, or takes too little for a figure.
    """
    marks = [each for each in backlog.marks if each.at_ms >= backlog.start_at_ms + peer.warm_up_ms]
    due = {each.event_id for each in marks}
    if not due:
        raise SentinelError(f"The backlog is no longer than the warm-up of {peer.name}: give more by --events.")
    partitions = [[each for each in event_ids if each in due] for event_ids in backlog.partitions]
    with Results(task.bootstrap_servers, task.found) as results:
        running = peer.start(task)
        try:
            with Usage(running.pids) as usage:
                told = follow(results, running, due, longest_s=longest_s, stalled_s=_STALLED_S)
            # Results of one partition may come by several ways: those on their way when time was over are not lost.
            late = overtaken(partitions, {each.event_id for each in told})
            came = follow(results, running, late, longest_s=_GRACE_S, stalled_s=_GRACE_S, first_s=_GRACE_S)
        finally:
            running.stop()
    readings = progress(marks, first_told(told, due))
    if not readings:
        raise SentinelError(f"{peer.name} has found nothing: see {task.logs}.")
    # One that was ended before the backlog did is measured on what it had taken.
    complete = len(readings) == len(marks)
    first, last = steady_part(readings, backlog.records if complete else readings[-1].records)
    spent_s = usage.cpu_s(first.at_s * 1000, last.at_s * 1000)
    return Drain(
        events_per_s=round(rate_per_s(first, last)),
        steady_s=round(last.at_s - first.at_s, 1),
        cpu_s_per_million=round(spent_s / (last.records - first.records) * 1e6, 1),
        peak_mb=round(usage.peak_bytes / 2**20),
        found=len(readings) + len({each.event_id for each in came}),
        planted=len(readings) + len(late),
    )


def follow(
    results: Results,
    running: Running,
    due: set[str],
    *,
    longest_s: float,
    stalled_s: float,
    first_s: float = FIRST_S,
) -> list[Result]:
    """Return what a peer tells of the calls that are due, until it has told of all, stands still, or its time is over.

    Its time begins with its first result, for which it has `first_s`, and is `longest_s`. It stands still when it tells
    of no further call for `stalled_s`. Raises SentinelError if it ends by itself.
    """
    told: list[Result] = []
    missing = set(due)
    began_s = checked_s = moved_s = time.monotonic()
    ends_s = began_s + first_s
    while missing and (now_s := time.monotonic()) < ends_s:
        new = [each for each in results.read(0.1) if each.event_id in due]
        told += new
        if fresh := missing.intersection(each.event_id for each in new):
            if len(missing) == len(due):
                ends_s = now_s + longest_s
            missing -= fresh
            moved_s = now_s
        elif len(missing) < len(due) and now_s - moved_s > stalled_s:
            break
        if now_s - checked_s > _CHECK_EVERY_S:
            running.check()
            checked_s = now_s
    return told
