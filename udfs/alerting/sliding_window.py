"""Sliding window: count, sum, least and greatest of the values of a time, in at most 60 buckets."""

from typing import Final

from msgspec import Struct

from schemas.alert import Aggregate

BUCKETS: Final = 60


class Bucket(Struct, frozen=True, array_like=True):
    """The values of one sixtieth of the window."""

    count: int
    sum: float
    min: float
    max: float


class SlidingWindow(Struct, frozen=True, array_like=True):
    """Buckets by number, that is, by time divided by their width; about 40 bytes for each that is not empty."""

    buckets: dict[int, Bucket] = {}


def width_ms(window_ms: int) -> int:
    """Return the width of a bucket: a sixtieth of the window, rounded up."""
    return -(-window_ms // BUCKETS)


def added(window: SlidingWindow, length_ms: int, at_ms: int, value: float) -> SlidingWindow:
    """Return the window with one more value, and without buckets that can count no more."""
    number = at_ms // width_ms(length_ms)
    newest = max([number, *window.buckets])
    kept = {each: bucket for each, bucket in window.buckets.items() if each > newest - BUCKETS}
    if number > newest - BUCKETS:
        old = kept.get(number, Bucket(0, 0.0, value, value))
        kept[number] = Bucket(old.count + 1, old.sum + value, min(old.min, value), max(old.max, value))
    return SlidingWindow(kept)


def aggregate(window: SlidingWindow, length_ms: int, at_ms: int, function: Aggregate) -> float | None:
    """Return the aggregate of the buckets that end with the one of an instant; None if there is nothing in them.

    They reach back a window's length, less at most one bucket: what is older has no part in it.
    """
    newest = at_ms // width_ms(length_ms)
    held = [bucket for number, bucket in window.buckets.items() if newest - BUCKETS < number <= newest]
    if not held:
        return None
    count, total = sum(bucket.count for bucket in held), sum(bucket.sum for bucket in held)
    found = {
        Aggregate.COUNT: float(count),
        Aggregate.SUM: total,
        Aggregate.AVG: total / count,
        Aggregate.MIN: min(bucket.min for bucket in held),
        Aggregate.MAX: max(bucket.max for bucket in held),
    }
    return found[function]
