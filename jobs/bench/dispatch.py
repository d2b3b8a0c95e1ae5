"""`sentinel bench dispatch`: from an alert to the first byte of its notice, and what many alerts cost.

Every measurement is of a process of its own, with what it promises to keep on the disk. The real Alertmanager, where it
is installed, is measured in the same way over HTTP.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import msgspec
import psutil
from confluent_kafka import Producer
from msgspec import Struct

from jobs.bench.delays import percentile
from jobs.bench.first_bytes import FirstBytes, first_bytes
from jobs.bench.own_stack import load_average, own_stack
from jobs.errors import SentinelError
from jobs.stack.layout import PYTHON
from jobs.stack.ports import LOOPBACK, free_port, is_ready
from jobs.stack.waiting import wait_until
from jobs.topics import ANOMALIES
from schemas.anomaly import Anomaly, DetectorType, Entity, EntityType, Severity
from schemas.time import from_at_ms

ALERTMANAGER: Final = ("alertmanager", "prometheus-alertmanager")
_PER_GROUP: Final = 100
_BATCH: Final = 1_000
_START_S: Final = 60.0
_PATIENCE_S: Final = 300.0
_MEGABYTE: Final = 1_000_000
_WAIT_S: Final = 45
"""Group wait of many alerts: longer than it takes to send them all."""


class Paced(Struct, frozen=True, kw_only=True):
    """Alerts at a fixed rate, each a group of its own that is told of at once."""

    alerts: int
    ms_p50: float
    ms_p99: float


class Many(Struct, frozen=True, kw_only=True):
    """Many alerts that fire at the same time, in groups of 100."""

    alerts: int
    load_s: float
    """To take them all, over HTTP in batches of 1,000."""
    memory_mb: float
    """Of the process, when it had taken them all."""
    flush_s: float
    """From the end of their group wait, the same for all groups, to the first byte of the last of their notices."""
    reload_s: float
    """From a reload that forms all groups anew, each due at once, to the first byte of the last of their notices."""
    memory_mb_after: float


class Measured(Struct, frozen=True, kw_only=True):
    """What one program did."""

    from_kafka: Paced | None
    from_http: Paced
    many: Many


class DispatchResult(Struct, frozen=True, kw_only=True):
    """What `sentinel bench dispatch` prints."""

    rate_per_s: float
    dispatch: Measured
    alertmanager: Measured | None
    """None where it is not installed."""
    processors: int
    load_before: float


def measure_dispatch(
    *, alerts: int, rate_per_s: float, seconds: float, kafka: bool, tell: Callable[[str], None]
) -> DispatchResult:
    """Measure dispatch and, where it is installed, Alertmanager. Raises SentinelError when something does not start."""
    load_before = load_average()
    number = int(rate_per_s * seconds)
    from_kafka = None
    if kafka:
        tell("dispatch: alerts from Kafka")
        from_kafka = _from_kafka(number, rate_per_s)
    tell("dispatch: alerts over HTTP")
    from_http = _from_http(_dispatch, number, rate_per_s)
    tell(f"dispatch: {alerts:,} alerts at the same time")
    ours = Measured(from_kafka=from_kafka, from_http=from_http, many=_many(_dispatch, alerts))
    theirs = None
    if any(map(shutil.which, ALERTMANAGER)):
        tell("Alertmanager: alerts over HTTP")
        from_http = _from_http(_alertmanager, number, rate_per_s)
        tell(f"Alertmanager: {alerts:,} alerts at the same time")
        theirs = Measured(from_kafka=None, from_http=from_http, many=_many(_alertmanager, alerts))
    return DispatchResult(
        rate_per_s=rate_per_s,
        dispatch=ours,
        alertmanager=theirs,
        processors=os.cpu_count() or 0,
        load_before=load_before,
    )


# --- What is measured ------------------------------------------------------------------------------------------------

Command = Callable[[Path, Path, int], list[str]]


def _dispatch(config: Path, data: Path, port: int) -> list[str]:
    return [
        *(str(PYTHON), "-m", "jobs.dispatch", "--config", str(config), "--store", str(data)),
        *("--listen", f"{LOOPBACK}:{port}", "--allow-network", "127.0.0.0/8", "--log-level", "warning"),
    ]


def _alertmanager(config: Path, data: Path, port: int) -> list[str]:
    program = next(found for name in ALERTMANAGER if (found := shutil.which(name)))
    return [
        *(program, f"--config.file={config}", f"--storage.path={data}", "--cluster.listen-address="),
        *(f"--web.listen-address={LOOPBACK}:{port}", "--log.level=error"),
    ]


class _Program:
    """A running program under test."""

    def __init__(self, address: str, config: Path, process: psutil.Process) -> None:
        self.address = address
        self.config = config
        self.process = process

    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / _MEGABYTE


@contextmanager
def _running(command: Command, configuration: str, *arguments: str) -> Iterator[_Program]:
    with TemporaryDirectory(prefix="bench-dispatch-") as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(configuration)
        port = free_port(29_093)
        argv = [*command(config, Path(folder) / "data", port), *arguments]
        with (Path(folder) / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
            try:
                address = f"http://{LOOPBACK}:{port}"
                wait_until(
                    lambda: process.poll() is not None or is_ready(port, "/-/ready"),
                    f"{argv[0]} to start",
                    deadline_s=_START_S,
                )
                if process.poll() is not None:
                    last = (Path(folder) / "log").read_text(errors="replace").strip().splitlines()[-1:]
                    raise SentinelError(f"{argv[0]} did not start: {' '.join(last)}")
                yield _Program(address, config, psutil.Process(process.pid))
            finally:
                process.terminate()


def _configuration(url: str, *, receiver: str = "first", group_by: str, group_wait: str) -> str:
    return (
        f"route: {{receiver: {receiver}, group_by: [{group_by}], group_wait: {group_wait}, group_interval: 5m}}\n"
        f"receivers:\n- name: {receiver}\n  webhook_configs:\n  - url: {url}\n"
    )


# --- At a fixed rate -------------------------------------------------------------------------------------------------


def _from_kafka(number: int, rate_per_s: float) -> Paced:
    with own_stack() as stack, first_bytes() as receiver:
        servers = stack.bootstrap_servers
        configuration = _configuration(receiver.url, group_by="application_id", group_wait="0s")
        with _running(_dispatch, configuration, "--bootstrap-servers", servers, "--silence", "0s"):
            producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
            # The first one waits for the consumer to find its partitions.
            producer.produce(ANOMALIES.name, _anomaly("warm-up"), key=b"warm-up")
            wait_until(lambda: bool(receiver.arrivals), "the first notice", deadline_s=_PATIENCE_S)
            receiver.arrivals.clear()
            began = time.monotonic()
            sent: dict[str, float] = {}
            for each in range(number):
                _sleep_until(began + each / rate_per_s)
                name = f"bench-{each}"
                sent[name] = time.time_ns() / 1e6
                producer.produce(ANOMALIES.name, _anomaly(name), key=name.encode())
                producer.poll(0)
            producer.flush()
            return _paced(sent, receiver, "application_id")


def _anomaly(name: str) -> bytes:
    anomaly = Anomaly(
        anomaly_id=name,
        timestamp=from_at_ms(time.time_ns() // 1_000_000),
        detector_id="bench",
        detector_type=DetectorType.STATISTICAL,
        severity=Severity.CRITICAL,
        score=1.0,
        tenant_id="bench",
        application_id=name,
        title=f"{name} answers slower than usual",
        affected_entity=Entity(type=EntityType.APPLICATION, id=name, application_id=name),
        metric="latency_ms",
    )
    return msgspec.json.encode(anomaly)


def _from_http(command: Command, number: int, rate_per_s: float) -> Paced:
    with (
        first_bytes() as receiver,
        _running(command, _configuration(receiver.url, group_by="alertname", group_wait="0s")) as program,
    ):
        sent = asyncio.run(_post_paced(program.address, number, rate_per_s))
        return _paced(sent, receiver, "alertname")


async def _post_paced(address: str, number: int, rate_per_s: float) -> dict[str, float]:
    sent: dict[str, float] = {}
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=address, timeout=_PATIENCE_S, trust_env=False) as client:

        async def post(name: str) -> None:
            sent[name] = time.time_ns() / 1e6
            (await client.post("/api/v2/alerts", json=[{"labels": {"alertname": name}}])).raise_for_status()

        async with asyncio.TaskGroup() as tasks:
            for each in range(number):
                await asyncio.sleep(max(0.0, began + each / rate_per_s - time.monotonic()))
                tasks.create_task(post(f"bench-{each}"))
    return sent


def _paced(sent: dict[str, float], receiver: FirstBytes, label: str) -> Paced:
    wait_until(lambda: len(receiver.arrivals) >= len(sent), "the notices", deadline_s=_PATIENCE_S)
    found: dict[str, float] = {}
    for arrival in receiver.arrivals:
        for alert in arrival.alerts():
            found.setdefault(alert["labels"][label], arrival.at_ms)
    delays = [round((found[name] - at_ms) * 1_000) for name, at_ms in sent.items()]
    return Paced(alerts=len(sent), ms_p50=percentile(delays, 0.5) / 1_000, ms_p99=percentile(delays, 0.99) / 1_000)


def _sleep_until(at_s: float) -> None:
    if (pause_s := at_s - time.monotonic()) > 0:
        time.sleep(pause_s)


# --- Many at the same time -------------------------------------------------------------------------------------------


def _many(command: Command, number: int) -> Many:
    groups = max(number // _PER_GROUP, 1)
    with (
        first_bytes() as receiver,
        _running(command, _configuration(receiver.url, group_by="group", group_wait=f"{_WAIT_S}s")) as program,
        httpx.Client(base_url=program.address, timeout=_PATIENCE_S, trust_env=False) as client,
    ):
        began_ms = time.time_ns() / 1e6
        for first in range(0, number, _BATCH):
            batch = [_one_of_many(each, groups) for each in range(first, min(first + _BATCH, number))]
            client.post("/api/v2/alerts", json=batch).raise_for_status()
        load_s = time.time_ns() / 1e9 - began_ms / 1e3
        if load_s >= _WAIT_S:
            raise SentinelError(f"{number:,} alerts took {load_s:.0f} s to send: fewer than {_WAIT_S} s are needed")
        memory_mb = program.memory_mb()
        # The first batch has an alert of every group, so that all of them wait from then on.
        flush_s = _last_notice_s(receiver, groups, began_ms + _WAIT_S * 1e3)
        memory_mb_after = program.memory_mb()
        # Another receiver has heard of none of it, and does not wait.
        receiver.arrivals.clear()
        program.config.write_text(_configuration(receiver.url, receiver="second", group_by="group", group_wait="0s"))
        began_ms = time.time_ns() / 1e6
        client.post("/-/reload").raise_for_status()
        return Many(
            alerts=number,
            load_s=round(load_s, 2),
            memory_mb=round(memory_mb, 1),
            flush_s=flush_s,
            reload_s=_last_notice_s(receiver, groups, began_ms),
            memory_mb_after=round(memory_mb_after, 1),
        )


def _last_notice_s(receiver: FirstBytes, groups: int, began_ms: float) -> float:
    wait_until(lambda: len(receiver.arrivals) >= groups, "the notices", deadline_s=_PATIENCE_S)
    return round((max(arrival.at_ms for arrival in receiver.arrivals) - began_ms) / 1_000, 3)


def _one_of_many(number: int, groups: int) -> dict[str, Any]:
    return {
        "labels": {
            "alertname": "LatencyHigh",
            "group": f"group-{number % groups}",
            "instance": f"instance-{number}",
            "severity": "warning",
            "tenant_id": "bench",
        },
        "annotations": {"summary": f"instance-{number} answers slower than usual"},
    }
