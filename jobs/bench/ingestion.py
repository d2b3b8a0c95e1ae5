"""`sentinel bench ingestion`: what ingestion takes on a real broker, what it costs, and that Kafka has all of it."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import msgspec
import psutil
from msgspec import Struct

from jobs.bench.ingestion_load import Sent, ndjson_body, opened
from jobs.bench.otel_collector import run_collector, spans_written
from jobs.bench.own_stack import load_average, own_broker
from jobs.client.handover import Handover, Item
from jobs.client.record import EVENTS, CallRecord
from jobs.errors import SentinelError
from jobs.records import read_values
from jobs.stack.layout import PYTHON
from jobs.stack.ports import LOOPBACK, free_port, is_listening
from jobs.stack.waiting import wait_until
from jobs.topics import TELEMETRY
from schemas.telemetry import HEARTBEAT_METRIC

_BATCH: Final = 500
_SMALL_BATCH: Final = 50
_RATE: Final = 5_000.0
_SIDECAR_RATE: Final = 2_000.0
_SIDECAR_BATCH: Final = 20
_START_S: Final = 60.0
_DRAIN_S: Final = 120.0
_CAPTURES: Final = 2_000
_CAPTURE_PAUSE_S: Final = 0.004
_HANDOVERS: Final = 5_000
_MEGABYTE: Final = 1024 * 1024


class Throughput(Struct, frozen=True, kw_only=True):
    """A load without pauses."""

    events_per_s: float
    events_per_core_s: float
    """Events of a second of processor time of the process, all of its threads together."""
    accepted: int
    refused: int


class Paced(Struct, frozen=True, kw_only=True):
    """A load of a fixed rate."""

    events_per_s: float
    request_ms_p50: float
    request_ms_p99: float
    core_percent: float
    accepted: int
    refused: int


class SidecarCost(Struct, frozen=True, kw_only=True):
    """What a sidecar costs at its rate, and what a program pays to hand a call over to it."""

    paced: Paced
    resident_mb: float
    capture_ms_p50: float
    """From an event in the program to the sidecar's word that it has it; one event a request, one every 4 ms."""
    capture_ms_p99: float
    handover_us_p50: float
    """What the program itself waits, as the client hands events over and sends them beside it."""
    handover_us_p99: float


class IngestionResult(Struct, frozen=True, kw_only=True):
    """The result: one JSON object."""

    otlp: Throughput
    ndjson: Throughput
    durable: Paced
    sidecar: SidecarCost
    accepted: int
    in_kafka: int
    """Events of the loads that were found in Kafka, the sidecar's among them; the same as `accepted`."""
    collector: Throughput | None
    load_before: float


def measure_ingestion(*, seconds: float, collector: Path | None, tell: Callable[[str], None]) -> IngestionResult:
    """Measure on a broker of its own. Raises SentinelError when something accepted is missing from Kafka."""
    load_before = load_average()
    with own_broker() as (folder, servers):
        port = free_port(24_318)
        with _program(folder, "gateway", _gateway(port, servers), port) as gateway:
            url = f"http://{LOOPBACK}:{port}"
            warm = _load(url, "ndjson", _SMALL_BATCH, 2.0, None).accepted
            tell(f"OTLP, {_BATCH} spans a request ...")
            otlp = _throughput(gateway, url, "otlp", seconds)
            tell(f"NDJSON, {_BATCH} events a request ...")
            ndjson = _throughput(gateway, url, "ndjson", seconds)
            tell(f"{_RATE:,.0f} events/s, durable ...")
            durable = _paced(gateway, url, "ndjson", _SMALL_BATCH, _RATE, seconds)
            tell(f"a sidecar at {_SIDECAR_RATE:,.0f} events/s ...")
            with _program(folder, "sidecar", _sidecar(folder, url), folder / "sidecar.sock") as beside:
                sidecar = _sidecar_cost(beside, f"unix:{folder / 'sidecar.sock'}", seconds)
            accepted = warm + otlp.accepted + ndjson.accepted + durable.accepted + sidecar.paced.accepted
            accepted += _CAPTURES + _HANDOVERS
            wait_until(lambda: _delivered(url) >= accepted, "everything accepted to be delivered", deadline_s=_DRAIN_S)
        tell("counting what is in Kafka ...")
        beat = HEARTBEAT_METRIC.encode()
        values = read_values(servers, TELEMETRY.name)
        in_kafka = sum(1 for value in values if beat not in value)
    if in_kafka != accepted:
        raise SentinelError(f"{accepted} events were accepted, and {in_kafka} are in Kafka.")
    return IngestionResult(
        otlp=otlp,
        ndjson=ndjson,
        durable=durable,
        sidecar=sidecar,
        accepted=accepted,
        in_kafka=in_kafka,
        collector=_collector(collector, seconds, tell) if collector else None,
        load_before=round(load_before, 2),
    )


def _gateway(port: int, servers: str) -> str:
    return (
        f"{{listen: {{http: '{LOOPBACK}:{port}', grpc: null}}, kafka: {{bootstrap_servers: '{servers}'}}, "
        "buffer: {folder: gateway}}"
    )


def _sidecar(folder: Path, url: str) -> str:
    return (
        f"{{role: sidecar, listen: {{http: null, grpc: null, unix: '{folder / 'sidecar.sock'}'}}, "
        f"forward: {{url: '{url}'}}, ack: accepted, buffer: {{folder: sidecar}}}}"
    )


@contextmanager
def _program(folder: Path, name: str, document: str, listens: int | Path) -> Iterator[psutil.Process]:
    config = folder / f"{name}.yaml"
    config.write_text(document)
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([PYTHON, "-m", "jobs.ingestion", "--config", config], stderr=log)
        try:

            def ready() -> bool:
                if process.poll() is not None:
                    raise SentinelError(f"ingestion ended: {(folder / f'{name}.log').read_text()[-500:]}")
                return listens.exists() if isinstance(listens, Path) else is_listening(listens)

            wait_until(ready, f"the {name} to listen", deadline_s=_START_S)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(_DRAIN_S)


def _load(to: str, form: str, batch: int, seconds: float, rate: float | None) -> Sent:
    argv = [PYTHON, "-m", "jobs.bench.ingestion_load", "--to", to, "--format", form]
    argv += ["--batch", str(batch), "--seconds", str(seconds)]
    if rate is not None:
        argv += ["--rate", str(rate)]
    done = subprocess.run([str(each) for each in argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SentinelError(f"the load failed: {done.stderr.strip()[-300:]}")
    return msgspec.json.decode(done.stdout, type=Sent)


def _throughput(process: psutil.Process, to: str, form: str, seconds: float) -> Throughput:
    before = _processor_s(process)
    sent = _load(to, form, _BATCH, seconds, None)
    spent = _processor_s(process) - before
    return Throughput(
        events_per_s=round(sent.accepted / sent.seconds),
        events_per_core_s=round(sent.accepted / spent),
        accepted=sent.accepted,
        refused=sent.refused,
    )


def _paced(process: psutil.Process, to: str, form: str, batch: int, rate: float, seconds: float) -> Paced:
    before = _processor_s(process)
    sent = _load(to, form, batch, seconds, rate)
    spent = _processor_s(process) - before
    return Paced(
        events_per_s=round(sent.accepted / sent.seconds),
        request_ms_p50=round(_percentile(sent.request_ms, 0.50), 2),
        request_ms_p99=round(_percentile(sent.request_ms, 0.99), 2),
        core_percent=round(100 * spent / sent.seconds, 1),
        accepted=sent.accepted,
        refused=sent.refused,
    )


def _sidecar_cost(process: psutil.Process, to: str, seconds: float) -> SidecarCost:
    paced = _paced(process, to, "ndjson", _SIDECAR_BATCH, _SIDECAR_RATE, seconds)
    captured_ms = _captures(to)
    handover = Handover(to, queue_max=_HANDOVERS)
    spent_us = []
    for _ in range(_HANDOVERS):
        began = time.perf_counter()
        handover.put(Item(EVENTS.path, _RECORD, EVENTS.encode, EVENTS.media_type))
        spent_us.append((time.perf_counter() - began) * 1e6)
    if not handover.flush(_DRAIN_S) or handover.counts().sent != _HANDOVERS:
        raise SentinelError(f"the sidecar did not take what was handed over: {handover.counts()}")
    handover.close()
    spent_us.sort()
    return SidecarCost(
        paced=paced,
        resident_mb=round(process.memory_info().rss / _MEGABYTE, 1),
        capture_ms_p50=round(_percentile(captured_ms, 0.50), 2),
        capture_ms_p99=round(_percentile(captured_ms, 0.99), 2),
        handover_us_p50=round(_percentile(spent_us, 0.50), 2),
        handover_us_p99=round(_percentile(spent_us, 0.99), 2),
    )


def _captures(to: str) -> list[float]:
    """Return how long single events took, in milliseconds, in ascending order."""
    connection = opened(to)
    spent_ms = []
    for number in range(_CAPTURES):
        body = ndjson_body(1, number)
        time.sleep(_CAPTURE_PAUSE_S)
        began = time.perf_counter()
        connection.request("POST", EVENTS.path, body, {"content-type": "application/x-ndjson"})
        answer = connection.getresponse()
        answer.read()
        spent_ms.append((time.perf_counter() - began) * 1e3)
        if answer.status not in {200, 202}:
            raise SentinelError(f"the sidecar answered {answer.status} to a single event.")
    connection.close()
    return sorted(spent_ms)


_RECORD: Final = CallRecord(
    application="bench",
    at_s=time.time(),
    provider="openai",
    operation="chat",
    data={"model": "gpt-4o", "status": "success", "latency_ms": 800.0, "prompt_tokens": 700, "completion_tokens": 90},
    correlation_id="chatcmpl-1",
    user="u",
    session="s",
    environment=None,
)


def _collector(program: Path, seconds: float, tell: Callable[[str], None]) -> Throughput:
    """Measure the OpenTelemetry Collector under the load of OTLP."""
    tell("the OpenTelemetry Collector ...")
    with TemporaryDirectory(prefix="bench-collector-") as name:
        folder = Path(name)
        with run_collector(program, folder) as (process, url):
            throughput = _throughput(process, url, "otlp", seconds)
        if (written := spans_written(folder)) != throughput.accepted:
            raise SentinelError(f"the Collector accepted {throughput.accepted} spans and wrote {written}.")
    return throughput


def _delivered(url: str) -> int:
    ledger = httpx.get(f"{url}/v1/ledger", trust_env=False, timeout=30).json()
    return int(ledger["total"]["delivered"])


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _percentile(ascending: list[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]
