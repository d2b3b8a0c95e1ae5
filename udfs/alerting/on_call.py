"""On call: who it is at an instant, and when it changes."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from udfs.alerting.active_hours import is_active, spans
from udfs.alerting.on_call_schedule import Layer, OnCallSchedule, restriction
from udfs.alerting.wall_clock import instant_of, wall_of, wall_time, zone

_WORDS: Final = {"daily": "1d", "weekly": "7d"}
OVERRIDE: Final = "override"
"""Stands for the layer of one who is on call by an override over all layers."""


class Shift(Struct, frozen=True):
    """One person on call, `[start, end)`, by a layer; None is nobody."""

    start_at_ms: int
    end_at_ms: int
    person: str | None
    layer: str | None


def on_call(schedule: OnCallSchedule, at_ms: int, layer: str | None = None) -> tuple[str, str] | None:
    """Return who is on call and by which layer, None if nobody is.

    Without a layer it is the schedule's as a whole: an override over all layers, else the last layer that has somebody.
    """
    where = zone(schedule.timezone)
    if layer is None:
        over = _override(schedule, where, at_ms, None)
        if over is not None:
            return over, OVERRIDE
    for each in reversed(schedule.layers):
        if layer is not None and each.name != layer:
            continue
        hours = restriction(schedule, each)
        if hours is not None and not is_active(hours, at_ms):
            continue
        turn = _turn_at(each, where, at_ms)
        if turn >= 0:
            person = _override(schedule, where, at_ms, each.name) or each.people[turn % len(each.people)]
            return person, each.name
    return None


def shifts(schedule: OnCallSchedule, from_ms: int, until_ms: int, layer: str | None = None) -> Iterator[Shift]:
    """Yield who is on call one after another, without a gap, from one instant to another.

    A shift that began before `from_ms` begins with it, one that goes on ends with `until_ms`.
    """
    start, current = from_ms, on_call(schedule, from_ms, layer)
    for edge in sorted(set(_edges(schedule, from_ms, until_ms))):
        found = on_call(schedule, edge, layer)
        if found != current:
            yield _shift(start, edge, current)
            start, current = edge, found
    if start < until_ms:
        yield _shift(start, until_ms, current)


def _shift(start: int, end: int, found: tuple[str, str] | None) -> Shift:
    person, layer = (None, None) if found is None else found
    return Shift(start, end, person, layer)


def _override(schedule: OnCallSchedule, where: ZoneInfo, at_ms: int, layer: str | None) -> str | None:
    for each in reversed(schedule.overrides):
        if each.layer != layer:
            continue
        start, end = instant_of(wall_time(each.starts), where), instant_of(wall_time(each.ends), where)
        if start <= at_ms < end:
            return each.person
    return None


def _length(layer: Layer) -> timedelta:
    text = _WORDS.get(layer.turn, layer.turn)
    return timedelta(hours=int(text[:-1])) if text.endswith("h") else timedelta(days=int(text[:-1]))


def _turn_at(layer: Layer, where: ZoneInfo, at_ms: int) -> int:
    """Return the number of the turn that an instant is in; negative before the first."""
    first, length = wall_time(layer.first_turn), _length(layer)
    turn = (wall_of(at_ms, where) - first) // length
    # Where the clocks change, the wall time alone may be a turn or some off.
    while instant_of(first + (turn + 1) * length, where) <= at_ms:
        turn += 1
    while instant_of(first + turn * length, where) > at_ms:
        turn -= 1
    return turn


def _edges(schedule: OnCallSchedule, from_ms: int, until_ms: int) -> Iterator[int]:
    """Yield the instants inside a span at which anything may change."""
    where = zone(schedule.timezone)
    for layer in schedule.layers:
        first, length = wall_time(layer.first_turn), _length(layer)
        turn = max(_turn_at(layer, where, from_ms), -1)
        yield from _inside(from_ms, until_ms, _turns(first, length, where, turn + 1))
        hours = restriction(schedule, layer)
        at_ms = from_ms
        while hours is not None and at_ms < until_ms:
            # The spans come some at a time; the last one's end is where the next look begins.
            found = list(spans(hours, at_ms))
            for span in found:
                yield from (edge for edge in span if from_ms < edge < until_ms)
            at_ms = max(end for _, end in found)
    for override in schedule.overrides:
        for text in (override.starts, override.ends):
            edge = instant_of(wall_time(text), where)
            if from_ms < edge < until_ms:
                yield edge


def _turns(first: datetime, length: timedelta, where: ZoneInfo, turn: int) -> Iterator[int]:
    while True:
        yield instant_of(first + turn * length, where)
        turn += 1


def _inside(from_ms: int, until_ms: int, instants: Iterator[int]) -> Iterator[int]:
    for instant in instants:
        if instant >= until_ms:
            return
        if instant > from_ms:
            yield instant
