"""Verdict: what planted calls and the results about them say of a peer. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from jobs.bench.rates import Reading


class Mark(NamedTuple):
    """A planted call: its id, its event time, and how many records of the topic it ends."""

    event_id: str
    at_ms: int
    records: int


class Result(NamedTuple):
    """A result that names a call: the call, which of the results about it this is, and when it was appended."""

    event_id: str
    identity: str
    appended_at_ms: int


class Crash(NamedTuple):
    """What a crash has done, in planted calls."""

    lost: int
    """Never told of, although a later one of the same partition was."""
    doubled: int
    """Told of twice by the same result."""
    unreached: int
    """Neither told of nor overtaken: the peer had not come so far when the measurement ended."""


def first_told(results: Iterable[Result], event_ids: Iterable[str]) -> dict[str, int]:
    """Return when each of the calls was first told of, for those that were."""
    wanted = set(event_ids)
    told: dict[str, int] = {}
    for each in results:
        if each.event_id in wanted:
            told[each.event_id] = min(each.appended_at_ms, told.get(each.event_id, each.appended_at_ms))
    return told


def progress(marks: Sequence[Mark], told_at_ms: Mapping[str, int]) -> list[Reading]:
    """Return how many records had been taken when, one reading for each planted call that was told of.

    When k planted calls have been told of, about as many records have been taken as the first k of the topic end.
    `marks` are those that can be found, in the order of the topic. Partitions drain alike but not in step, so a reading
    is off by some planted calls, and the rate over hundreds of them is not.
    """
    times = sorted(told_at_ms[each.event_id] for each in marks if each.event_id in told_at_ms)
    return [Reading(at_ms / 1000, mark.records) for at_ms, mark in zip(times, marks, strict=False)]


def overtaken(partitions: Iterable[Collection[str]], told: AbstractSet[str]) -> set[str]:
    """Return the calls not told of although a later one of the same partition was; partitions have theirs in order."""
    missing: set[str] = set()
    for event_ids in partitions:
        before: list[str] = []
        for event_id in event_ids:
            if event_id in told:
                missing.update(before)
                before = []
            else:
                before.append(event_id)
    return missing


def crash(partitions: Sequence[Collection[str]], results: Iterable[Result]) -> Crash:
    """Return what was lost and doubled; `partitions` has the planted calls of each partition in their order."""
    planted = {event_id for event_ids in partitions for event_id in event_ids}
    repeats = Counter((each.event_id, each.identity) for each in results if each.event_id in planted)
    told = {event_id for event_id, _ in repeats}
    lost = overtaken(partitions, told)
    doubled = {event_id for (event_id, _), times in repeats.items() if times > 1}
    return Crash(len(lost), len(doubled), len(planted) - len(told) - len(lost))
