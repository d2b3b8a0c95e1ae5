"""A sidecar keeps events while its gateway is away, forwards them once each, and tells the absurd by itself."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.ingestion.buffer import Ack, Buffer, BufferSettings, Keyed
from jobs.ingestion.settings import ForwardSettings
from jobs.ingestion.sidecar.forwarder import Forwarder
from jobs.stack.layout import PROJECT
from jobs.stack.ports import free_port
from jobs.stack.waiting import wait_until
from tests.ingestion import EVENT, running

pytestmark = pytest.mark.process

MEGABYTE = 1024 * 1024


@contextmanager
def sidecar(folder: Path, gateway: str, document: str = "") -> Iterator[httpx.Client]:
    """Start a sidecar on a Unix socket as a process; yield a client of it."""
    config = folder / "sidecar.yaml"
    config.write_text(
        f"{{role: sidecar, listen: {{http: null, grpc: null, unix: s}}, forward: {{url: '{gateway}'}}, "
        f"ack: accepted{document}}}"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.ingestion", "--config", str(config)],
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            stderr=log,
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(str(folder / "s")) == 0

        wait_until(answers, "the sidecar", deadline_s=60)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(folder / "s")), base_url="http://sidecar") as client:
            yield client
            memory = Path(f"/proc/{process.pid}/status").read_text()
            [resident] = [int(line.split()[1]) for line in memory.splitlines() if line.startswith("VmHWM")]
            assert resident < 64 * 1024, f"{resident} kB"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def total(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/ledger").json()["total"]
    return found


def test_events_reach_the_gateway_when_it_comes(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "sidecar").mkdir()
    with sidecar(tmp_path / "sidecar", f"http://127.0.0.1:{port}") as client:
        events = [EVENT | {"event_id": f"e-{number}"} for number in range(1_000)]
        lines = "\n".join(map(json.dumps, events))
        answer = client.post("/v1/events", content=lines, headers={"content-type": "application/x-ndjson"})
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1_000)
        assert total(client)["buffered"] == 1_000
        with running(tmp_path, f"listen: {{http: '127.0.0.1:{port}'}}") as gateway:
            wait_until(lambda: total(client)["delivered"] == 1_000, "the events to be forwarded", deadline_s=60)
            assert [event.event_id for event in gateway.events()] == [event["event_id"] for event in events]
        account = total(client)
        assert (account["buffered"], account["dropped"], account["unaccounted"]) == (0, {}, 0)


def test_the_absurd_is_told_without_a_gateway(tmp_path: Path) -> None:
    with sidecar(tmp_path, "http://127.0.0.1:1", ", absurd: {cost: 5}") as client:
        for cost in (1, 7):
            answer = client.post("/v1/events", json=EVENT | {"event_id": f"c-{cost}", "data": {"cost": cost}})
            assert answer.status_code == 202
        told = [json.loads(line) for line in (tmp_path / "ingestion" / "absurd.jsonl").read_text().splitlines()]
        assert [(each["event_id"], each["metric"], each["value"], each["threshold"]) for each in told] == [
            ("c-7", "cost", 7.0, 5.0)
        ]
        assert 'sentinel_ingestion_absurd_calls_total{metric="cost"} 1.0' in client.get("/metrics").text
        assert total(client)["buffered"] == 2


def test_what_the_gateway_rejects_is_counted_as_dropped(tmp_path: Path) -> None:
    """A gateway may be stricter than its sidecar, being newer."""
    buffer = Buffer(BufferSettings(folder=tmp_path / "buffer", memory_bytes=MEGABYTE))
    with running(tmp_path) as gateway:
        good = json.dumps(EVENT).encode()
        records = [Keyed(b"k", good), Keyed(b"k", b'{"event_id": "bad"}'), Keyed(b"k", good)]

        async def put() -> None:
            assert await buffer.put("default", records, Ack.ACCEPTED) is None

        asyncio.run(put())
        forwarder = Forwarder(buffer, ForwardSettings(url=gateway.http), tmp_path)
        forwarder.start()
        assert forwarder.stop(30) == 0
        assert len(gateway.events()) == 2
    account = buffer.accounts()["default"]
    assert (account.delivered, dict(account.dropped), account.unaccounted) == (2, {"refused": 1}, 0)
    buffer.close()
