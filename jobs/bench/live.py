"""Live: warm baselines, traffic at a steady rate, absurd events planted in it, and when their anomalies came."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import msgspec
from msgspec import Struct

from jobs.bench.append_times import read_appended, stamp_on_append
from jobs.bench.counters import Counted, read_total, read_until
from jobs.bench.own_stack import start_job
from jobs.bench.planting import APART_MS, Planting, most_plantable
from jobs.errors import SentinelError
from jobs.replay.bulk import Bulk, bulk_records
from jobs.replay.pace import paced
from jobs.replay.produce import TopicWriter
from jobs.replay.stream import Record
from jobs.stack.stack import Stack
from jobs.topics import ANOMALIES, TELEMETRY
from schemas.time import to_at_ms

_SAMPLES_PER_ENTITY = 600
"""Calls of each entity before anything is planted: the longest warm-up of a detector of calls is 500."""
_HISTORY_MS = 660_000
"""Event time before anything is planted, at least: `zscore-10s` warms up in ten minutes, and one more."""
_SETTLING_MS = 30_000
"""Live traffic before anything is planted: what the backlog has stirred up calms down."""


class Traffic(Struct, frozen=True, kw_only=True):
    """What is sent while the job is measured."""

    rate_per_s: float
    duration_ms: int
    """How long events are planted."""
    entities: int
    absurd: int
    """How many events are planted, evenly over the duration."""


class Seen(Struct, frozen=True, kw_only=True):
    """What came of it, all times by the broker's clock."""

    job_id: str
    event_at_ms: dict[str, int]
    """Event time of each planted event."""
    appended_at_ms: dict[str, int]
    """When each planted event was appended."""
    appended_per_s: float
    """The rate at which events were appended, measured."""
    found: list[tuple[str, int]]
    """An event's id and when an anomaly that names it was appended, for every anomaly of a call."""
    windows: list[tuple[int, int]]
    """The end of a window and when an anomaly in it was appended, for every one since planting began."""


class _Event(Struct):
    event_id: str


class _Context(Struct):
    window_end: str | None = None
    sample_events: tuple[str, ...] = ()


class _Found(Struct):
    context: _Context


def run_live(
    stack: Stack,
    traffic: Traffic,
    config: Path | None,
    *,
    tell: Callable[[str], None],
    wait_for_all: Callable[[int], None],
    meanwhile: Callable[[], None] = lambda: None,
) -> Seen:
    """Warm the job's baselines up with a backlog, go on at the rate, plant absurd events, and read both topics.

    Both topics are stamped by the one broker as it appends, so no two clocks are compared; they are read after the
    measurement, so that no reader takes part in it. `meanwhile` is called once, when a third of the planted events is
    sent, and should return at once. `wait_for_all` is called with the number of records sent and returns when the job
    is done with them. Raises SentinelError if so many events cannot be planted.
    """
    most = most_plantable(traffic.entities, traffic.duration_ms)
    if traffic.absurd > most:
        raise SentinelError(
            f"{traffic.entities} entities take at most {most} planted events in {traffic.duration_ms / 1000:g} s, one "
            f"in {APART_MS // 1000} s each: give more --entities, a longer --duration or fewer --planted."
        )
    history_ms = max(_HISTORY_MS, round(traffic.entities * _SAMPLES_PER_ENTITY / traffic.rate_per_s * 1000))
    length_ms = history_ms + _SETTLING_MS + traffic.duration_ms
    stamp_on_append(stack.bootstrap_servers, (TELEMETRY, ANOMALIES))
    start_at_ms = int(time.time() * 1000) - history_ms
    live_at_ms = start_at_ms + history_ms
    bulk = Bulk(
        events=int(length_ms * traffic.rate_per_s / 1000),
        start_at_ms=start_at_ms,
        entities=traffic.entities,
        events_per_s=traffic.rate_per_s,
    )
    writer = TopicWriter(stack.bootstrap_servers, TELEMETRY.name)
    job_id = start_job(stack, config)
    history, live = divided(bulk_records(bulk, writer.partitions), live_at_ms)
    tell(f"Warming up with {history_ms // 1000} s of traffic of {traffic.entities:,} entities.")
    sent = Counted()
    writer.write(sent.of(history))
    writer.close()
    read_until(lambda: read_total(stack.flink), sent.records, tell=lambda _: None)
    tell(f"Live at {traffic.rate_per_s:g} events/s for {(_SETTLING_MS + traffic.duration_ms) // 1000} s.")
    begin_at_ms, end_at_ms = live_at_ms + _SETTLING_MS, start_at_ms + length_ms
    planting = Planting(start_at_ms=begin_at_ms, end_at_ms=end_at_ms, wanted=traffic.absurd)
    live_since_ms = int(time.time() * 1000)
    pace = paced(live, start_at_ms=live_at_ms, speed_up=1.0, now_s=time.monotonic, wait_s=time.sleep)
    third_at_ms = begin_at_ms + traffic.duration_ms // 3
    writer.write(sent.of(_interrupted(planting.planted_in(pace), third_at_ms, meanwhile)))
    writer.close()
    wait_for_all(sent.records)
    tell("Reading both topics.")
    appended, appended_per_s = _appended(stack.bootstrap_servers, planting.planted, live_since_ms)
    found = list(_anomalies(stack.bootstrap_servers))
    ends = [(to_at_ms(context.window_end), at_ms) for context, at_ms in found if context.window_end]
    return Seen(
        job_id=job_id,
        event_at_ms=planting.event_at_ms,
        appended_at_ms=appended,
        appended_per_s=appended_per_s,
        found=[(event_id, at_ms) for context, at_ms in found for event_id in context.sample_events],
        windows=[(end_ms, at_ms) for end_ms, at_ms in ends if end_ms > begin_at_ms],
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


def _interrupted(records: Iterable[Record], at_ms: int, meanwhile: Callable[[], None]) -> Iterator[Record]:
    """Yield the records; call something once, before the first that is due at a time."""
    waits = True
    for record in records:
        if waits and record.due_ms >= at_ms:
            meanwhile()
            waits = False
        yield record


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


def _anomalies(bootstrap_servers: str) -> Iterator[tuple[_Context, int]]:
    decoder = msgspec.json.Decoder(_Found)
    for value, at_ms in read_appended(bootstrap_servers, ANOMALIES):
        yield decoder.decode(value).context, at_ms
