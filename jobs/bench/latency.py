"""Latency: from an event's append to Kafka to its anomaly's append to Kafka, at a steady rate."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import msgspec
from msgspec import Struct

from jobs.bench.append_times import read_appended, stamp_on_append
from jobs.bench.counters import Counted, read_total, read_until
from jobs.bench.delays import delays_ms, percentile
from jobs.bench.own_stack import completed_checkpoints, load_average, own_stack, start_job
from jobs.bench.planting import APART_MS, Planting, most_plantable
from jobs.bench.surroundings import surroundings
from jobs.detection.settings import JobSettings, load
from jobs.errors import SentinelError
from jobs.replay.bulk import Bulk, bulk_records
from jobs.replay.pace import paced
from jobs.replay.produce import TopicWriter
from jobs.replay.stream import Record
from jobs.topics import ANOMALIES, TELEMETRY

_SAMPLES_PER_ENTITY = 300
"""Calls of each entity before anything is planted: the detectors' warm-up of 200, with room for chance."""
_HISTORY_MS = 360_000
"""Event time before anything is planted, at least: the detectors' warm-up of five minutes, and one more."""
_SETTLING_MS = 30_000
"""Live traffic before anything is planted: what the backlog has stirred up calms down."""
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
    anomalies: int
    """All in the topic: several for a planted event, and what else was found."""
    events_per_second: float
    """The rate at which events were appended, measured."""
    duration_s: float
    entities: int
    checkpoints: int
    """Completed while the job ran, warm-up included."""
    machine: dict[str, object]
    versions: dict[str, str]
    configuration: dict[str, object]


class _Event(Struct):
    event_id: str


class _Context(Struct):
    sample_events: tuple[str, ...] = ()


class _Found(Struct):
    context: _Context


def measure_latency(
    *,
    rate_per_s: float,
    duration_ms: int,
    entities: int,
    absurd: int,
    config: Path | None,
    tell: Callable[[str], None],
) -> Latency:
    """Warm the job's baselines up with a backlog, go on at the rate, plant absurd events, and join both topics.

    Both topics are stamped by the one broker as it appends, so no two clocks are compared; they are read after the
    measurement, so that no reader takes part in it. An event with several anomalies counts by the first. Raises
    SentinelError if so many events cannot be planted, nothing is seen, or the job restarts.
    """
    most = most_plantable(entities, duration_ms)
    if absurd > most:
        raise SentinelError(
            f"{entities} entities take at most {most} planted events in {duration_ms / 1000:g} s, one in "
            f"{APART_MS // 1000} s each: give more --entities, a longer --duration or fewer --planted."
        )
    settings = load(config) if config else JobSettings()
    load_before = load_average()
    history_ms = max(_HISTORY_MS, round(entities * _SAMPLES_PER_ENTITY / rate_per_s * 1000))
    length_ms = history_ms + _SETTLING_MS + duration_ms
    with own_stack() as stack:
        stamp_on_append(stack.bootstrap_servers, (TELEMETRY, ANOMALIES))
        start_at_ms = int(time.time() * 1000) - history_ms
        live_at_ms = start_at_ms + history_ms
        bulk = Bulk(
            events=int(length_ms * rate_per_s / 1000),
            start_at_ms=start_at_ms,
            entities=entities,
            events_per_s=rate_per_s,
        )
        writer = TopicWriter(stack.bootstrap_servers, TELEMETRY.name)
        job_id = start_job(stack, config)
        history, live = divided(bulk_records(bulk, writer.partitions), live_at_ms)
        tell(f"Warming up with {history_ms // 1000} s of traffic of {entities:,} entities.")
        sent = Counted()
        writer.write(sent.of(history))
        writer.close()
        read_until(lambda: read_total(stack.flink), sent.records, tell=lambda _: None)
        tell(f"Live at {rate_per_s:g} events/s for {(_SETTLING_MS + duration_ms) // 1000} s.")
        planting = Planting(start_at_ms=live_at_ms + _SETTLING_MS, end_at_ms=start_at_ms + length_ms, wanted=absurd)
        live_since_ms = int(time.time() * 1000)
        pace = paced(live, start_at_ms=live_at_ms, speed_up=1.0, now_s=time.monotonic, wait_s=time.sleep)
        writer.write(sent.of(planting.planted_in(pace)))
        writer.close()
        read_until(lambda: read_total(stack.flink), sent.records, tell=lambda _: None)
        time.sleep(_FLUSH_S)
        tell("Reading both topics.")
        appended, appended_per_s = _appended(stack.bootstrap_servers, planting.planted, live_since_ms)
        found = list(_found(stack.bootstrap_servers))
        delays = delays_ms(appended, found)
        about = surroundings(stack.layout, settings, load_before)
        return Latency(
            p50_ms=percentile(delays, 0.50),
            p95_ms=percentile(delays, 0.95),
            p99_ms=percentile(delays, 0.99),
            max_ms=max(delays),
            planted=len(planting.planted),
            seen=len(delays),
            anomalies=len(found),
            events_per_second=round(appended_per_s),
            duration_s=duration_ms / 1000,
            entities=entities,
            checkpoints=completed_checkpoints(stack, job_id),
            machine=about.machine,
            versions=about.versions,
            configuration=about.configuration,
        )


def divided(records: Iterable[Record], at_ms: int) -> tuple[Iterator[Record], Iterator[Record]]:
    """Return the records before a time and those from it on; the first must be used up before the second is begun."""
    source, kept = iter(records), list[Record]()

    def before() -> Iterator[Record]:
        for record in source:
            if record.due_ms >= at_ms:
                kept.append(record)
                return
            yield record

    def after() -> Iterator[Record]:
        yield from chain(kept, source)

    return before(), after()


def _appended(bootstrap_servers: str, planted: set[str], since_ms: int) -> tuple[dict[str, int], float]:
    """Return the append time of every planted event, and at which rate events were appended."""
    decoder = msgspec.json.Decoder(_Event)
    times: dict[str, int] = {}
    records, first_ms, last_ms = 0, 2**63, 0
    for value, at_ms in read_appended(bootstrap_servers, TELEMETRY, since_ms):
        records += 1
        first_ms, last_ms = min(first_ms, at_ms), max(last_ms, at_ms)
        event_id = decoder.decode(value).event_id
        if event_id in planted:
            times[event_id] = at_ms
    return times, records * 1000.0 / max(last_ms - first_ms, 1)


def _found(bootstrap_servers: str) -> Iterator[tuple[str, int]]:
    decoder = msgspec.json.Decoder(_Found)
    for value, at_ms in read_appended(bootstrap_servers, ANOMALIES):
        # One of a window names no events, and counts as an anomaly all the same.
        for event_id in decoder.decode(value).context.sample_events or ("",):
            yield event_id, at_ms
