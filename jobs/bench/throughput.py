"""Throughput: how fast the whole job drains a backlog of telemetry."""

import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from jobs.bench.counters import Counted, read_total, read_until
from jobs.bench.own_stack import Checkpoints, checkpoints_of, load_average, own_stack, start_job
from jobs.bench.rates import rate_per_s, steady_part
from jobs.bench.surroundings import surroundings
from jobs.detection.settings import JobSettings, load
from jobs.replay.bulk import Bulk, bulk_records, in_avro
from jobs.replay.produce import TopicWriter
from jobs.topics import TELEMETRY


class Throughput(Struct, frozen=True, kw_only=True):
    """What came out, and under which circumstances."""

    benchmark: str = "throughput"
    events_per_second: float
    """Of the steady part."""
    steady_s: float
    drain_s: float
    """From the first reading with a record to the last record."""
    events: int
    entities: int
    checkpoints: Checkpoints
    machine: dict[str, object]
    versions: dict[str, str]
    configuration: dict[str, object]


def measure_throughput(
    *, events: int, entities: int, taskmanagers: int, config: Path | None, tell: Callable[[str], None]
) -> Throughput:
    """Fill the telemetry topic with events of about 600 bytes, then start the job and read its counter to the end.

    The rate is that of the steady part (`jobs.bench.rates.steady_part`): from a fifth to four fifths of the backlog.
    Nothing else runs while the job does. Raises SentinelError if the job restarts or stops.
    """
    settings = load(config) if config else JobSettings()
    load_before = load_average()
    with own_stack(taskmanagers=taskmanagers) as stack:
        bulk = Bulk(events=events, start_at_ms=0, entities=entities)
        # Events end now: the job refuses those that lie ahead of the broker's clock.
        bulk = replace(bulk, start_at_ms=int((time.time() - events / bulk.events_per_s) * 1000))
        writer = TopicWriter(stack.bootstrap_servers, TELEMETRY.name, linger_ms=20)
        tell(f"Producing {events:,} events of {entities:,} entities.")
        counted = Counted()
        records = bulk_records(bulk, writer.partitions)
        writer.write(counted.of(in_avro(records) if settings.kafka.telemetry_format == "avro" else records))
        writer.close()
        tell("Starting the job.")
        job_id = start_job(stack, config)
        readings = read_until(
            lambda: read_total(stack.flink), counted.records, tell=lambda each: tell(f"{each.records:,} records")
        )
        first, last = steady_part(readings, counted.records)
        begun = next(each for each in readings if each.records)
        about = surroundings(stack.layout, settings, load_before)
        return Throughput(
            events_per_second=round(rate_per_s(first, last)),
            steady_s=round(last.at_s - first.at_s, 2),
            drain_s=round(readings[-1].at_s - begun.at_s, 2),
            events=events,
            entities=entities,
            checkpoints=checkpoints_of(stack, job_id),
            machine=about.machine,
            versions=about.versions,
            configuration=about.configuration,
        )
