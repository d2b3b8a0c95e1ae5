"""The front of ingestion on free ports of loopback, over a real buffer that nothing empties but the test."""

import asyncio
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from jobs.ingestion.buffer import Ack, Buffer, BufferSettings
from jobs.ingestion.front import Front
from jobs.ingestion.settings import IngestionSettings, ListenSettings, read
from schemas.codec import decode_event
from schemas.telemetry import TelemetryEvent
from udfs.normalise.normalised import Rejection

FREE = "127.0.0.1:0"
EVENT: dict[str, Any] = {
    "event_id": "e-1",
    "timestamp": "2026-11-24T09:30:00.123Z",
    "source": {"service": "checkout", "host": "h"},
    "event_type": "llm.response",
    "application_id": "checkout",
    "data": {"provider": "openai", "model": "gpt-4o", "latency_ms": 800.0, "prompt_tokens": 12, "status": "success"},
}


class Running:
    """A front that answers, and what has come to its buffer."""

    def __init__(self, front: Front, buffer: Buffer, rejected: list[tuple[str, Rejection, bytes]]) -> None:
        self.front = front
        self.buffer = buffer
        self.rejected = rejected
        """Items that were kept for the dead letters: tenant, why, bytes."""
        self.http = f"http://127.0.0.1:{front.http_port}"
        # Plain HTTP: without this, each client would load all certificates of the machine.
        self.client = httpx.Client(base_url=self.http, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)

    @property
    def grpc(self) -> str:
        """The address of the gRPC port."""
        return f"127.0.0.1:{self.front.grpc_port}"

    def events(self) -> list[TelemetryEvent]:
        """Take what the buffer holds, as Kafka would get it."""
        found = []
        while taken := self.buffer.take(0.01):
            self.buffer.delivered(taken)
            found += [decode_event(waiting.value) for waiting in taken]
        return found


@contextmanager
def running(folder: Path, document: str = "{}") -> Iterator[Running]:
    """Serve by a configuration, on free ports and answering as soon as events are in memory unless that says else."""
    settings = _on_free_ports(read(document.encode()))
    if "ack:" not in document:
        settings = msgspec.structs.replace(settings, ack=Ack.ACCEPTED)
    buffer = Buffer(BufferSettings(folder=folder / settings.buffer.folder, memory_bytes=settings.buffer.memory_bytes))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    rejected: list[tuple[str, Rejection, bytes]] = []

    def keep(tenant: str, items: Sequence[tuple[Rejection, bytes]]) -> None:
        rejected.extend((tenant, each, payload) for each, payload in items)

    async def made() -> Front:
        front = Front(settings, folder, buffer, keep=keep)
        await front.start()
        return front

    try:
        front = asyncio.run_coroutine_threadsafe(made(), loop).result(60)
        try:
            running = Running(front, buffer, rejected)
            with running.client:
                yield running
        finally:
            asyncio.run_coroutine_threadsafe(front.stop(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        buffer.close()


def _on_free_ports(settings: IngestionSettings) -> IngestionSettings:
    listen = settings.listen
    http = FREE if listen.http == ListenSettings().http else listen.http
    return msgspec.structs.replace(
        settings,
        listen=msgspec.structs.replace(listen, http=http, grpc=None if listen.grpc is None else FREE),
    )
