"""Recovery: how long after a TaskManager was killed the anomalies come as promptly as before."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from msgspec import Struct

from jobs.bench.counters import read_total
from jobs.bench.delays import delays_ms
from jobs.bench.live import Traffic, run_live
from jobs.bench.own_stack import load_average, own_stack
from jobs.bench.surroundings import surroundings
from jobs.detection.settings import JobSettings, load
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until

PROMPT_MS = 1_000
"""An anomaly that comes within a second of its event is as prompt as before."""
_DRAINED_S = 300.0
_STILL = 50
"""Readings without a change, at least five seconds of them, after which there is nothing more to take."""


class Recovery(Struct, frozen=True, kw_only=True):
    """What came out, and under which circumstances."""

    benchmark: str = "recovery"
    recovered_s: float
    """From the kill to the last anomaly that came more than a second after its event."""
    taskmanager_back_s: float
    """From the kill until a new TaskManager in its place was registered; part of `recovered_s`."""
    planted: int
    seen: int
    late: int
    """How many came more than a second after their event, all of them told of in the end."""
    events_per_second: float
    entities: int
    machine: dict[str, object]
    versions: dict[str, str]
    configuration: dict[str, object]


def measure_recovery(traffic: Traffic, *, config: Path | None, tell: Callable[[str], None]) -> Recovery:
    """Run the traffic past the job, kill one of its two TaskManagers (SIGKILL) and start another at once.

    The traffic goes on meanwhile. Raises SentinelError if the job does not come back or nothing is seen.
    """
    settings = load(config) if config else JobSettings()
    load_before = load_average()
    with own_stack() as stack:
        fault = _Fault(stack, tell)
        seen = run_live(stack, traffic, config, tell=tell, wait_for_all=lambda _: _wait(stack), meanwhile=fault.start)
        fault.join()
        first: dict[str, int] = {}
        for event_id, at_ms in seen.found:
            first[event_id] = min(at_ms, first.get(event_id, at_ms))
        slow = [
            first[event_id]
            for event_id, at_ms in seen.appended_at_ms.items()
            if event_id in first and first[event_id] - at_ms > PROMPT_MS
        ]
        about = surroundings(stack.layout, settings, load_before)
        return Recovery(
            recovered_s=round((max(slow, default=fault.killed_at_ms) - fault.killed_at_ms) / 1000, 1),
            taskmanager_back_s=round(fault.back_s, 1),
            planted=len(seen.event_at_ms),
            seen=len(delays_ms(seen.appended_at_ms, seen.found)),
            late=len(slow),
            events_per_second=round(seen.appended_per_s),
            entities=traffic.entities,
            machine=about.machine,
            versions=about.versions,
            configuration=about.configuration,
        )


class _Fault(Thread):
    """Kills the first TaskManager and starts one in its place, beside the traffic."""

    def __init__(self, stack: Stack, tell: Callable[[str], None]) -> None:
        super().__init__(name="fault")
        self._stack = stack
        self._tell = tell
        self.killed_at_ms = 0
        self.back_s = 0.0

    def run(self) -> None:
        """Do it, once."""
        self._tell("Killing a TaskManager.")
        self.killed_at_ms = int(time.time() * 1000)
        self._stack.kill_taskmanager(1)
        self._stack.start_taskmanager()
        self.back_s = time.time() - self.killed_at_ms / 1000


def _wait(stack: Stack) -> None:
    """Return when the job takes no more, since there is no more, and has told of the last."""
    totals = [read_total(stack.flink).records]

    def stands_still() -> bool:
        totals.append(read_total(stack.flink).records)
        return len(totals) > _STILL and len(set(totals[-_STILL:])) == 1 and totals[-1] > 0

    wait_until(stands_still, "the job to take what came while it was away", deadline_s=_DRAINED_S)
