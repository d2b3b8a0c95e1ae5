"""Latency: from an event's append to Kafka to its anomaly's append to Kafka, at a steady rate."""

import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from jobs.bench.counters import read_total, read_until
from jobs.bench.delays import delays_ms, percentile, window_delays_ms
from jobs.bench.live import Traffic, run_live
from jobs.bench.own_stack import Checkpoints, checkpoints_of, load_average, own_stack
from jobs.bench.surroundings import surroundings
from jobs.detection.settings import JobSettings, load
from jobs.stack.stack import Stack

_FLUSH_S = 3.0
"""How long after the last record the last anomaly may come."""


class Latency(Struct, frozen=True, kw_only=True):
    """What came out, and under which circumstances. Times are of the planted events that were seen."""

    benchmark: str = "latency"
    p50_ms: int
    p95_ms: int
    p99_ms: int
    max_ms: int
    planted: int
    seen: int
    windows: int
    """Anomalies of windows since planting began."""
    windows_p50_ms: int
    """From the end of a window plus the bound to the append of an anomaly in it."""
    windows_p99_ms: int
    events_per_second: float
    """The rate at which events were appended, measured."""
    duration_s: float
    entities: int
    checkpoints: Checkpoints
    machine: dict[str, object]
    versions: dict[str, str]
    configuration: dict[str, object]


def measure_latency(traffic: Traffic, *, config: Path | None, tell: Callable[[str], None]) -> Latency:
    """Run the traffic past the job and join both topics. An event with several anomalies counts by the first.

    Raises SentinelError if so many events cannot be planted, nothing is seen, or the job restarts.
    """
    settings = load(config) if config else JobSettings()
    load_before = load_average()
    with own_stack() as stack:
        seen = run_live(stack, traffic, config, tell=tell, wait_for_all=lambda sent: _wait(stack, sent))
        delays = delays_ms(seen.appended_at_ms, seen.found)
        windows = window_delays_ms(seen.windows, seen.event_at_ms, seen.appended_at_ms, settings.detection.bound_ms)
        about = surroundings(stack.layout, settings, load_before)
        return Latency(
            p50_ms=percentile(delays, 0.50),
            p95_ms=percentile(delays, 0.95),
            p99_ms=percentile(delays, 0.99),
            max_ms=max(delays),
            planted=len(seen.event_at_ms),
            seen=len(delays),
            windows=len(windows),
            windows_p50_ms=percentile(windows, 0.50),
            windows_p99_ms=percentile(windows, 0.99),
            events_per_second=round(seen.appended_per_s),
            duration_s=traffic.duration_ms / 1000,
            entities=traffic.entities,
            checkpoints=checkpoints_of(stack, seen.job_id),
            machine=about.machine,
            versions=about.versions,
            configuration=about.configuration,
        )


def _wait(stack: Stack, sent: int) -> None:
    read_until(lambda: read_total(stack.flink), sent, tell=lambda _: None)
    time.sleep(_FLUSH_S)
