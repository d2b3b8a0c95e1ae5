"""Events with numbers that tests of the buffer can read back."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise

from jobs.ingestion.buffer import Keyed, Waiting


def numbered(tenant: str, first: int, last: int, size: int = 100) -> list[Keyed]:
    """Return the events of a tenant from one number to another, each with a value of `size` bytes."""
    key = f"{tenant}|app".encode()
    return [Keyed(key, f"{tenant} {number} ".encode().ljust(size, b".")) for number in range(first, last + 1)]


def numbers(events: Iterable[Waiting]) -> list[int]:
    """Return the numbers that `numbered` gave to events."""
    return [int(event.value.split()[1]) for event in events]


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """Let everything that is due in the loop happen."""
    loop.run_until_complete(asyncio.sleep(0))


def in_order(found: Sequence[int]) -> bool:
    """Return whether numbers rise."""
    return all(one < other for one, other in pairwise(found))
