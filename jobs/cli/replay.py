"""The command that replays LLM traffic with planted faults."""

import gzip
import sys
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.backtest.telemetry import AVRO_SUFFIX
from jobs.errors import SentinelError
from jobs.replay.events import span_of, timed_events
from jobs.replay.faults import FaultPlan, duration_ms, read_plan
from jobs.replay.pace import paced
from jobs.replay.plan import default_plan
from jobs.replay.produce import TopicWriter
from jobs.replay.readers import TraceKind, read_trace
from jobs.replay.stream import Record, disordered, keyed, repeated, with_heartbeats
from jobs.replay.truth import PlantedFault, ground_truth
from jobs.replay.world import World, default_world
from jobs.stack.layout import default_home
from jobs.stack.stack import Stack
from jobs.topics import TELEMETRY
from schemas.avro import encode_avro, write_avro_file
from schemas.codec import encode
from schemas.telemetry import TelemetryEvent
from schemas.time import from_at_ms, to_at_ms
from udfs.settings import DetectionSettings

_LINE_EVERY_S: Final = 10.0
_LOOK_EVERY: Final = 256
_AHEAD_MAX_MS: Final = DetectionSettings().future_max_ms or 0


class WireFormat(StrEnum):
    """How an event is written."""

    JSON = "json"
    AVRO = "avro"


Servers = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka; by default the broker that `sentinel up` started.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Write to this file, not to Kafka: JSON lines (gzip if it ends in .gz), or Avro if it ends in .avro."
    ),
]
Wire = Annotated[WireFormat, typer.Option("--format", help="How events are written.")]
Plan = Annotated[str, typer.Option(help="Which faults to plant: `default` (one of every kind), `none`, or a file.")]
Duration = Annotated[str, typer.Option(help="Length in event time: 90s, 30m, 2h.")]
Rate = Annotated[float | None, typer.Option(min=0.001, help="Mean calls a second of event time; by default 40.")]
SpeedUp = Annotated[float, typer.Option(min=0.001, help="How many times faster than the wall clock event time runs.")]
Fast = Annotated[bool, typer.Option("--as-fast-as-possible", help="Do not wait for the time of an event.")]
Start = Annotated[
    str | None,
    typer.Option(help="Event time of the start, RFC 3339; by default such that the replay ends now, or begins now."),
]
Disorder = Annotated[int, typer.Option(min=0, help="Delay events by up to this many milliseconds of event time.")]
Repeats = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of events that are sent twice.")]
Tail = Annotated[str, typer.Option(help="Go on with heartbeats for this long, so that the last windows close.")]


def replay(  # noqa: PLR0917 - options are passed by name
    bootstrap_servers: Servers = None,
    topic: Annotated[str, typer.Option(help="The topic to write to.")] = TELEMETRY.name,
    out: Out = None,
    wire: Wire = WireFormat.JSON,
    plan: Plan = "default",
    truth: Annotated[Path | None, typer.Option(help="Write what was planted to this file, JSON lines.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds, options and starts give equal events.")] = 1,
    duration: Duration = "30m",
    rate: Rate = None,
    speed_up: SpeedUp = 1.0,
    as_fast_as_possible: Fast = False,
    start: Start = None,
    tenants: Annotated[int, typer.Option(min=1, help="How many tenants.")] = 3,
    applications: Annotated[int, typer.Option(min=1, help="How many applications over all tenants.")] = 20,
    models: Annotated[int, typer.Option(min=1, help="How many models; an application calls two.")] = 8,
    users: Annotated[int, typer.Option(min=1, help="How many users each application has.")] = 200,
    trace: Annotated[Path | None, typer.Option(help="A trace file of your own instead of the packaged ones.")] = None,
    trace_kind: Annotated[TraceKind | None, typer.Option(help="Format of --trace.")] = None,
    disorder_ms: Disorder = 0,
    repeat_share: Repeats = 0.0,
    tail: Tail = "0s",
) -> None:
    """Replay real LLM traffic with planted faults, to Kafka or to a file.

    Without further options: half an hour of three tenants, in real time, with every kind of fault after a third of it.
    """
    if out is not None and (wire is WireFormat.AVRO) != (out.suffix == AVRO_SUFFIX):
        raise SentinelError(f"--out: {out} and --format {wire.value} differ: .avro files hold Avro, all others JSON.")
    write = encode if wire is WireFormat.JSON else encode_avro
    length_ms, tail_ms = _milliseconds("--duration", duration), _milliseconds("--tail", tail)
    if length_ms == 0:
        raise SentinelError("--duration is zero: give the length of the replay, such as 30m.")
    pace = None if as_fast_as_possible or out is not None else speed_up
    start_at_ms = _start_at_ms(start, length_ms + tail_ms, pace)
    world = _world(tenants, applications, models, users, trace, trace_kind)
    faults = _plan(plan, world, seed=seed, start_at_ms=start_at_ms, length_ms=length_ms, rate=rate)
    planted = ground_truth(world, faults, seed=seed, start_at_ms=start_at_ms, duration_ms=length_ms, rate_per_s=rate)
    _write_truth(truth, planted)

    span = span_of(world, seed=seed, start_at_ms=start_at_ms, duration_ms=length_ms, rate_per_s=rate)
    records: Iterable[Record] = keyed(timed_events(world, faults, span), write)
    if repeat_share:
        records = repeated(records, repeat_share, seed)
    if disorder_ms:
        records = disordered(records, disorder_ms, seed)
    console = Console(highlight=False, soft_wrap=True)
    entities = sum(len(application.models) for application in world.applications)
    console.print(
        f"{entities} entities of {len(world.applications)} applications, {rate or world.rate_per_s:g} calls/s, "
        f"{from_at_ms(start_at_ms)} to {from_at_ms(start_at_ms + length_ms)}, {len(planted)} faults"
    )
    if out is None and (ahead_ms := _ahead_ms(start_at_ms, length_ms + tail_ms, pace)) > _AHEAD_MAX_MS:
        console.print(
            f"Events will be up to {ahead_ms // 1000:,} s ahead of the clock: the detection job refuses those beyond "
            "its future_max_ms. Give an earlier --start."
        )
    reporter = _Reporter(console, start_at_ms, length_ms + tail_ms, planted)
    with reporter:
        try:
            if out is not None:
                _write_file(out, reporter.watched(records))
            else:
                writer = TopicWriter(bootstrap_servers or Stack(default_home()).bootstrap_servers, topic)
                records = with_heartbeats(
                    records,
                    partitions=writer.partitions,
                    start_at_ms=start_at_ms,
                    end_at_ms=start_at_ms + length_ms + disorder_ms + tail_ms,
                    bound_ms=disorder_ms,
                    encode=write,
                )
                if pace is not None:
                    clock, wait = time.monotonic, time.sleep
                    records = paced(records, start_at_ms=start_at_ms, speed_up=pace, now_s=clock, wait_s=wait)
                _write_topic(writer, reporter.watched(records))
        except KeyboardInterrupt:
            reporter.say("Stopped early; everything up to here was sent.")
    reporter.finish(f"{out}" if out is not None else f"topic {topic}")


class _Reporter:
    """Tells how far the replay is: a bar on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, console: Console, start_at_ms: int, length_ms: int, planted: tuple[PlantedFault, ...]) -> None:
        self.console = console
        self.start_at_ms = start_at_ms
        self.length_ms = length_ms
        self.coming = sorted(planted, key=lambda fault: fault.start_at_ms)
        self.events = 0
        self.began_s = self.told_s = time.monotonic()
        columns = (BarColumn(), TextColumn("{task.fields[events]:,} events"), TimeRemainingColumn())
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.progress.add_task("replay", total=float(length_ms), events=0)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def watched(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, telling of them as they pass."""
        for number, record in enumerate(records, start=1):
            self.events += record.partition is None
            # Heartbeats pass every second even when nothing else does.
            if number % _LOOK_EVERY == 0 or record.partition == 0:
                self._tell(record.due_ms)
            yield record

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.progress.console.print(text)

    def finish(self, target: str) -> None:
        """Print the totals."""
        seconds = max(time.monotonic() - self.began_s, 1e-3)
        self.console.print(f"{self.events:,} events to {target} in {seconds:.1f} s ({self.events / seconds:,.0f}/s)")

    def _tell(self, at_ms: int) -> None:
        while self.coming and self.coming[0].start_at_ms <= at_ms:
            fault = self.coming.pop(0)
            scope = " ".join(
                part for part in (getattr(fault.scope, name) for name in fault.scope.__struct_fields__) if part
            )
            self.say(f"{from_at_ms(fault.start_at_ms)}  {fault.kind} {fault.magnitude:g}: {scope}")
        now_s = time.monotonic()
        if self.console.is_terminal:
            self.progress.update(self.task, completed=at_ms - self.start_at_ms, events=self.events)
        elif now_s - self.told_s >= _LINE_EVERY_S:
            self.told_s = now_s
            self.say(f"{from_at_ms(at_ms)}  {self.events:,} events, {(at_ms - self.start_at_ms) / self.length_ms:.0%}")


def _milliseconds(option: str, text: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as error:
        raise SentinelError(f"{option}: {error}") from None


def _start_at_ms(start: str | None, length_ms: int, pace: float | None) -> int:
    if start is None:
        # A replay faster than the clock ends now; one at the clock's pace begins now.
        ahead_ms = length_ms if pace is None else length_ms * max(1.0 - 1.0 / pace, 0.0)
        return int(time.time() * 1000 - ahead_ms)
    try:
        return to_at_ms(start)
    except ValueError:
        raise SentinelError(f"--start: `{start}` is not an RFC 3339 time, such as 2026-11-24T09:00:00Z.") from None


def _ahead_ms(start_at_ms: int, length_ms: int, pace: float | None) -> int:
    """Return how far ahead of the clock events will be at most: at the beginning, or at the end of a fast replay."""
    taking_ms = 0.0 if pace is None else length_ms / pace
    return int(start_at_ms + max(length_ms - taking_ms, 0.0) - time.time() * 1000)


def _world(
    tenants: int, applications: int, models: int, users: int, trace: Path | None, kind: TraceKind | None
) -> World:
    if (trace is None) != (kind is None):
        raise SentinelError("--trace and --trace-kind belong together: give both or neither.")
    workloads = read_trace(trace, kind) if trace is not None and kind is not None else ()
    return default_world(tenants=tenants, applications=applications, models=models, users=users, workloads=workloads)


def _plan(plan: str, world: World, *, seed: int, start_at_ms: int, length_ms: int, rate: float | None) -> FaultPlan:
    if plan == "none":
        return FaultPlan()
    if plan == "default":
        return default_plan(world, seed=seed, start_at_ms=start_at_ms, duration_ms=length_ms, rate_per_s=rate)
    return read_plan(Path(plan), world)


def _write_truth(path: Path | None, planted: tuple[PlantedFault, ...]) -> None:
    if path is None:
        return
    try:
        path.write_bytes(b"".join(encode(fault) + b"\n" for fault in planted))
    except OSError as error:
        raise SentinelError(f"--truth: {path} cannot be written: {error.strerror}.") from None


def _write_file(path: Path, records: Iterable[Record]) -> None:
    try:
        if path.suffix == AVRO_SUFFIX:
            with path.open("wb") as file:
                write_avro_file(file, (record.value for record in records), TelemetryEvent)
            return
        with gzip.open(path, "wb", compresslevel=3) if path.suffix == ".gz" else path.open("wb") as lines:
            for record in records:
                lines.write(record.value + b"\n")
    except OSError as error:
        raise SentinelError(f"--out: {path} cannot be written: {error.strerror}.") from None


def _write_topic(writer: TopicWriter, records: Iterable[Record]) -> None:
    try:
        writer.write(records)
    except KeyboardInterrupt:
        writer.close()
        raise
    writer.close()


if __name__ == "__main__":
    try:
        typer.run(replay)
    except SentinelError as problem:
        print(f"sentinel: {problem}", file=sys.stderr)
        sys.exit(1)
