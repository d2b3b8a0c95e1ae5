"""Forwarded: which anomalies have been forwarded already, in bounded memory."""

from array import array
from bisect import bisect_left

from msgspec import Struct

REMEMBER_MS = 3_600_000
SPAN_MS = 600_000
MAX_GENERATIONS = 8
GENERATION_IDS = 2048
TAIL_IDS = 64
"""A generation ends after 2,048 ids or ten minutes of event time. An id is forgotten when it is an hour old, or earlier
when eight younger generations have begun. 8 x 2,048 ids of 8 bytes are 131 kB."""


class Generation(Struct, frozen=True, array_like=True):
    """Ids that were forwarded one after the other: a sorted block of 64-bit digests, and the newest unsorted."""

    first_at_ms: int
    newest_at_ms: int
    block: bytes
    tail: tuple[int, ...]


class Forwarded(Struct, frozen=True, array_like=True):
    """Generations, newest last.

    A repeat that comes after its id was forgotten is forwarded again, never lost: readers drop repeats by id.
    A new id is taken for a known one with a chance of 16,384 / 2**64, less than 1e-9 in a million ids.
    """

    generations: tuple[Generation, ...] = ()


def contains(forwarded: Forwarded, digest: int) -> bool:
    """Return whether an id's digest is remembered."""
    for generation in reversed(forwarded.generations):
        if digest in generation.tail:
            return True
        block = memoryview(generation.block).cast("Q")
        position = bisect_left(block, digest)
        if position < len(block) and block[position] == digest:
            return True
    return False


def remembered(forwarded: Forwarded, digest: int, at_ms: int) -> Forwarded:
    """Return the memory with one more id, which it does not contain yet; the oldest generation may go for it."""
    generations = forwarded.generations
    if generations:
        newest = generations[-1]
        is_full = len(newest.block) // 8 + len(newest.tail) >= GENERATION_IDS
        if not is_full and at_ms - newest.first_at_ms < SPAN_MS:
            return Forwarded((*generations[:-1], appended(newest, digest, at_ms)))
    return Forwarded((*generations, Generation(at_ms, at_ms, b"", (digest,)))[-MAX_GENERATIONS:])


def appended(generation: Generation, digest: int, at_ms: int) -> Generation:
    """Return a generation with one more id; every 64 ids are sorted into the block."""
    tail = (*generation.tail, digest)
    block = generation.block
    if len(tail) == TAIL_IDS:
        ids = array("Q", block)
        ids.extend(tail)
        block = array("Q", sorted(ids)).tobytes()
        tail = ()
    return Generation(generation.first_at_ms, max(generation.newest_at_ms, at_ms), block, tail)


def forgotten(forwarded: Forwarded, at_ms: int) -> Forwarded:
    """Return the memory without the generations that ended more than an hour before `at_ms`."""
    kept = tuple(each for each in forwarded.generations if each.newest_at_ms + REMEMBER_MS > at_ms)
    return forwarded if len(kept) == len(forwarded.generations) else Forwarded(kept)
