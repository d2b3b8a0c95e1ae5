"""What the buffer costs an event, and how long a durable answer takes.

    python -m tests.benchmarks.ingestion_buffer [--kafka HOST:PORT]

CPU is that of all threads of this process, so what libraries of C do beside it counts too.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event, Thread

import numpy as np
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from jobs.ingestion.buffer import Ack, Buffer, BufferSettings, Keyed
from jobs.ingestion.delivery import Delivery, DeliverySettings
from jobs.ingestion.limits import TenantLimits
from udfs.ingestion.rate import Limits

EVENT_BYTES = 600
EVENTS = 100_000
TENANTS = 10
RATE = 5_000
SECONDS = 10


def batches(size: int) -> list[tuple[str, list[Keyed]]]:
    """Return all events in batches of one tenant each."""
    value = bytes(EVENT_BYTES)
    return [
        (f"tenant-{number % TENANTS}", [Keyed(f"tenant-{number % TENANTS}|app".encode(), value)] * size)
        for number in range(EVENTS // size)
    ]


class Drain:
    """Takes everything and calls it delivered, in a thread, as long as it is entered."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._stop = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._buffer.delivered(self._buffer.take(0.1))


def cost(name: str, events: int, run: Callable[[], object]) -> None:
    """Run it, and print its CPU per event and its rate."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    run()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    print(f"{name:<62} {cpu_s / events * 1e6:6.2f} us an event  {events / wall_s:10,.0f} events/s")  # noqa: T201


async def put_all(buffer: Buffer, size: int, ack: Ack, senders: int = 50) -> None:
    """Put all events, by so many senders at a time."""
    left = iter(batches(size))

    async def send() -> None:
        for tenant, events in left:
            answer = await buffer.put(tenant, events, ack)
            assert answer is None, answer
            await asyncio.sleep(0)

    await asyncio.gather(*(send() for _ in range(senders)))


def until_empty(buffer: Buffer) -> None:
    """Return when everything is delivered."""
    while buffer.buffered:
        time.sleep(0.001)


def through(folder: Path, size: int, ack: Ack) -> None:
    """Put and deliver all events."""
    buffer = Buffer(BufferSettings(folder=folder))
    with Drain(buffer):
        asyncio.run(put_all(buffer, size, ack))
        until_empty(buffer)
    buffer.close()


def over_the_disk(folder: Path) -> None:
    """Put all events while nothing is delivered, then deliver them."""
    buffer = Buffer(BufferSettings(folder=folder, memory_bytes=16 * 1024 * 1024))
    cost("overflow: in", EVENTS, lambda: asyncio.run(put_with_patience(buffer)))
    state = buffer.state()
    print(f"    memory {state.memory_bytes / 2**20:.0f} MB, disk {state.disk_bytes / 2**20:.0f} MB")  # noqa: T201

    def drain() -> None:
        while events := buffer.take(0):
            buffer.delivered(events)

    cost("overflow: out", EVENTS, drain)
    buffer.close()


async def put_with_patience(buffer: Buffer) -> None:
    """Put all events, waiting when there is no room."""
    for tenant, events in batches(100):
        while await buffer.put(tenant, events) is not None:  # noqa: ASYNC110 - as a sender would
            await asyncio.sleep(0.002)


def latency(folder: Path, size: int) -> None:
    """Print how long durable answers take at a fixed rate."""
    buffer = Buffer(BufferSettings(folder=folder))
    took_ms: list[float] = []

    async def one(due_s: float, tenant: str, events: list[Keyed]) -> None:
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        answer = await buffer.put(tenant, events, Ack.DURABLE)
        assert answer is None, answer
        took_ms.append((time.perf_counter() - due_s) * 1_000)

    async def all_of_them() -> None:
        start_s = time.perf_counter() + 0.1
        pending: set[asyncio.Task[None]] = set()
        for number, (tenant, events) in enumerate(batches(size)[: RATE * SECONDS // size]):
            due_s = start_s + number * size / RATE
            if due_s > time.perf_counter() + 0.05:
                await asyncio.sleep(0.02)
            task = asyncio.create_task(one(due_s, tenant, events))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)

    cpu_s = time.process_time()
    with Drain(buffer):
        asyncio.run(all_of_them())
    cpu_s = time.process_time() - cpu_s
    buffer.close()
    median, high, highest = np.percentile(took_ms, [50, 99, 100])
    print(  # noqa: T201
        f"durable at {RATE:,} events/s, {size} a request: p50 {median:.1f} ms, p99 {high:.1f} ms, "
        f"highest {highest:.1f} ms, {cpu_s / SECONDS:.0%} of a core"
    )


def to_kafka(folder: Path, servers: str, topic: str) -> None:
    """Put all events and deliver them to Kafka."""
    buffer = Buffer(BufferSettings(folder=folder))
    delivery = Delivery(buffer, DeliverySettings(bootstrap_servers=servers, topic=topic))
    delivery.start()

    async def run() -> None:
        await put_all(buffer, 100, Ack.ACCEPTED)
        await asyncio.to_thread(until_empty, buffer)

    cost("to Kafka, 100 a request", EVENTS, lambda: asyncio.run(run()))
    delivery.stop(10)
    buffer.close()


def limiting() -> None:
    """Compare the limits with the library `limits`."""
    own = TenantLimits({}, Limits(events_per_s=1e9, bytes_per_s=1e12, tokens_per_s=1e12))
    calls = 20_000

    def ours() -> None:
        for _ in range(calls):
            own.admit("tenant", events=1, bytes_=EVENT_BYTES, tokens=1_000)

    library = MovingWindowRateLimiter(MemoryStorage())
    items = [RateLimitItemPerSecond(10**9, namespace=name) for name in ("events", "bytes", "tokens")]

    def theirs() -> None:
        for _ in range(calls):
            for item in items:
                library.hit(item, "tenant")

    cost("limits: three rates of a request, here", calls, ours)
    cost("limits: three rates of a request, library `limits`, cost 1", calls, theirs)


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", help="bootstrap servers")
    parser.add_argument("--topic", default="bench-ingestion-buffer")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="sentinel-bench-") as home:
        for size in (100, 10, 1):
            for ack in (Ack.ACCEPTED, Ack.DURABLE):
                name = f"in and out, {size} a request, {ack.value}"
                cost(name, EVENTS, partial(through, Path(home) / f"{ack}-{size}", size, ack))
        over_the_disk(Path(home) / "overflow")
        for size in (1, 10):
            latency(Path(home) / f"latency-{size}", size)
        limiting()
        if arguments.kafka:
            to_kafka(Path(home) / "kafka", arguments.kafka, arguments.topic)


if __name__ == "__main__":
    main()
