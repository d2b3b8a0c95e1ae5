"""A process that puts events into a buffer and delivers them to a file until it is killed.

    python -m tests.buffer_feeder FOLDER SEED

It says on its standard output, a line each, which events it has been told are durable, and appends what it delivers to
FOLDER/delivered. Every step is its own write, so that what was said or delivered is known after a kill.
"""

import asyncio
import os
import random
import sys
from pathlib import Path
from threading import Thread

from jobs.ingestion.buffer import Ack, Buffer, BufferSettings
from tests.buffer_events import numbered

TENANTS = ("a", "b", "c")


def settings(folder: Path) -> BufferSettings:
    """Return sizes with which everything happens soon: overflow, new segments, deletion."""
    return BufferSettings(
        folder=folder / "buffer", memory_bytes=1024 * 1024, disk_bytes=16 * 1024 * 1024, segment_bytes=64 * 1024
    )


def deliver(buffer: Buffer, folder: Path, chance: random.Random) -> None:
    """Append events to the file, some batches later than others, and say so to the buffer."""
    file = os.open(folder / "delivered", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        events = buffer.take(0.05)
        if chance.random() < 0.02:
            buffer.give_back()
            continue
        lines = [event.value.rstrip(b".") + b"\n" for event in events]
        os.write(file, b"".join(lines))
        buffer.delivered(events)


async def feed(buffer: Buffer, tenant: str, chance: random.Random) -> None:
    """Put events of a tenant, most of them durable ones."""
    last = next((account.received for name, account in buffer.accounts().items() if name == tenant), 0)
    while True:
        first, last = last + 1, last + chance.randint(1, 20)
        ack = Ack.DURABLE if chance.random() < 0.8 else Ack.ACCEPTED
        answer = await buffer.put(tenant, numbered(tenant, first, last, chance.choice([50, 500, 5_000])), ack)
        if answer is None and ack is Ack.DURABLE:
            os.write(1, f"{tenant} {first} {last}\n".encode())
        await asyncio.sleep(0)


async def main(folder: Path, seed: int) -> None:
    """Feed until the end."""
    buffer = Buffer(settings(folder))
    Thread(target=deliver, args=(buffer, folder, random.Random(seed)), daemon=True).start()
    await asyncio.gather(*(feed(buffer, tenant, random.Random(f"{seed}{tenant}")) for tenant in TENANTS))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
