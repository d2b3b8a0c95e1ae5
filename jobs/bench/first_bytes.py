"""First bytes: a receiver of webhooks that knows when the first byte of each request came, and little else."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from jobs.stack.ports import LOOPBACK


class Arrival(NamedTuple):
    """One request."""

    at_ms: float
    """Milliseconds since the epoch at its first byte."""
    body: bytes

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it tells of."""
        found: list[dict[str, Any]] = msgspec.json.decode(self.body)["alerts"]
        return found


class FirstBytes:
    """What has come so far."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of a connection with 200."""
        try:
            while first := await reader.read(1):
                at_ms = time.time_ns() / 1e6
                head = first + await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                self.arrivals.append(Arrival(at_ms, await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def first_bytes() -> Iterator[FirstBytes]:
    """Run a receiver in a thread of its own."""
    receiver = FirstBytes()
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(receiver.handle, LOOPBACK, 0, backlog=1_024)
        receiver.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/"
        started.set()
        async with server:
            await server.serve_forever()

    def run() -> None:
        task = loop.create_task(serve())
        loop.call_soon(lambda: stop.append(task))
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            for each in asyncio.all_tasks(loop):
                each.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    stop: list[asyncio.Task[None]] = []
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(stop[0].cancel)
        thread.join()
