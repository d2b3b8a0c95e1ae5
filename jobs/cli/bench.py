"""`sentinel bench`: measure the detection job, and ingestion, on a real broker and a real cluster of their own."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from jobs.bench.latency import measure_latency
from jobs.bench.live import Traffic
from jobs.bench.own_stack import TASKMANAGERS
from jobs.bench.recovery import measure_recovery
from jobs.bench.throughput import measure_throughput
from jobs.errors import SentinelError
from jobs.replay.faults import duration_ms
from jobs.topics import TELEMETRY


class Benchmark(StrEnum):
    """What to measure."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    RECOVERY = "recovery"
    INGESTION = "ingestion"
    DISPATCH = "dispatch"


def bench(  # noqa: PLR0917 - options are passed by name
    benchmark: Annotated[
        Benchmark,
        typer.Argument(
            help="`throughput` drains a backlog; `latency` times anomalies from Kafka to Kafka, live; `recovery` kills "
            "a TaskManager meanwhile; `ingestion` times and counts what ingestion takes; "
            "`dispatch` times alerts to their receiver, beside Alertmanager where it is installed."
        ),
    ],
    entities: Annotated[
        int | None, typer.Option(min=1, help="How many models of applications; 200 for throughput, else 2000.")
    ] = None,
    events: Annotated[int, typer.Option(min=1, help="throughput: how many events the backlog has.")] = 6_000_000,
    taskmanagers: Annotated[
        int, typer.Option(min=1, max=TELEMETRY.partitions, help="throughput: among how many the work is divided.")
    ] = TASKMANAGERS,
    rate: Annotated[float, typer.Option(min=1, help="latency, recovery: events per second.")] = 5_000.0,
    duration: Annotated[str, typer.Option(help="latency, recovery: how long events are planted, such as 5m.")] = "5m",
    planted: Annotated[int, typer.Option(min=1, help="latency, recovery: how many absurd events.")] = 600,
    seconds: Annotated[float, typer.Option(min=1, help="ingestion, dispatch: how long each load lasts.")] = 15.0,
    alerts: Annotated[int, typer.Option(min=100, help="dispatch: how many alerts fire at the same time.")] = 100_000,
    alert_rate: Annotated[float, typer.Option(min=1, help="dispatch: alerts per second.")] = 200.0,
    kafka: Annotated[bool, typer.Option("--kafka/--no-kafka", help="dispatch: measure from Kafka, too.")] = True,
    collector: Annotated[
        Path | None,
        typer.Option(help="ingestion: an OpenTelemetry Collector to put beside it.", exists=True, dir_okay=False),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A configuration file of the job, in place of the defaults.")
    ] = None,
) -> None:
    """Measure the detection job, ingestion or dispatch; the last line printed is one JSON object.

    The benchmark starts Kafka, TaskManagers and the job for itself and removes all of it. Progress goes to stderr.
    """
    result: msgspec.Struct
    if benchmark is Benchmark.INGESTION:
        # The others need nothing of what this imports.
        from jobs.bench.ingestion import measure_ingestion  # noqa: PLC0415

        result = measure_ingestion(seconds=seconds, collector=collector, tell=_tell)
    elif benchmark is Benchmark.DISPATCH:
        from jobs.bench.dispatch import measure_dispatch  # noqa: PLC0415

        result = measure_dispatch(alerts=alerts, rate_per_s=alert_rate, seconds=seconds, kafka=kafka, tell=_tell)
    elif benchmark is Benchmark.THROUGHPUT:
        result = measure_throughput(
            events=events, entities=entities or 200, taskmanagers=taskmanagers, config=config, tell=_tell
        )
    else:
        try:
            length_ms = duration_ms(duration)
        except ValueError as error:
            raise SentinelError(f"--duration: {error}") from None
        traffic = Traffic(rate_per_s=rate, duration_ms=length_ms, entities=entities or 2_000, absurd=planted)
        measure = measure_latency if benchmark is Benchmark.LATENCY else measure_recovery
        result = measure(traffic, config=config, tell=_tell)
    print(msgspec.json.encode(result).decode())


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
