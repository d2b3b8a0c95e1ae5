"""The sections `time_intervals` and `mute_time_intervals` of a configuration."""

import re
from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfo

from jobs.dispatch.yaml_node import Node
from udfs.alerting.interval import Range, TimeInterval

_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_TIME: Final = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9]))|(24):(00)", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_SHORTEST_MONTH: Final = 28
_LONGEST_MONTH: Final = 31
_KEYS: Final = ("times", "weekdays", "days_of_month", "months", "years", "location")


def named_intervals(node: Node, known: dict[str, tuple[TimeInterval, ...]]) -> None:
    """Add the intervals of a section to those that are known by name."""
    for each in node.items():
        fields = each.fields(("name", "time_intervals"))
        name = fields["name"].text() if "name" in fields else ""
        if not name:
            raise each.mistake("a time interval needs a name")
        if name in known:
            raise fields["name"].mistake(f"the time interval {name} is not unique")
        parts = fields["time_intervals"].items() if "time_intervals" in fields else []
        known[name] = tuple(_interval(part) for part in parts)


def _interval(node: Node) -> TimeInterval:
    fields = node.fields(_KEYS)

    def ranges(name: str, read: Callable[[Node], Range]) -> tuple[Range, ...] | None:
        # An empty list is given all the same, and nothing is in it.
        return tuple(read(each) for each in fields[name].items()) if name in fields else None

    return TimeInterval(
        times=ranges("times", _times),
        weekdays=ranges("weekdays", _weekdays),
        days_of_month=ranges("days_of_month", _days),
        months=ranges("months", _months),
        years=ranges("years", _years),
        location=_location(fields["location"]) if "location" in fields else "UTC",
    )


def _location(node: Node) -> str:
    name = node.text() or "UTC"
    if name != "Local":
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise node.mistake(f"{name!r} is no time zone; write it as Europe/Berlin, UTC or Local") from None
    return name


def _times(node: Node) -> Range:
    fields = node.fields(("start_time", "end_time"))
    if len(fields) != 2:  # noqa: PLR2004 - both of them
        raise node.mistake("both start_time and end_time are wanted")
    start, end = _minute(fields["start_time"]), _minute(fields["end_time"])
    if start >= end:
        raise node.mistake("start_time is not before end_time; a night is two ranges, one up to 24:00, one from 00:00")
    return start, end


def _minute(node: Node) -> int:
    found = _TIME.fullmatch(node.text())
    if found is None:
        raise node.mistake(f"{node.text()!r} is no time of day; write it as '09:30', in quotes")
    hours, minutes = [each for each in found.groups() if each is not None]
    return int(hours) * 60 + int(minutes)


def _weekdays(node: Node) -> Range:
    first, last = _range(node, lambda text: _WEEKDAYS.index(text) if text in _WEEKDAYS else None, "day of the week")
    if first > last:
        raise node.mistake("the first day is after the last; the week begins on Sunday")
    return first, last


def _days(node: Node) -> Range:
    first, last = _range(node, _integer, "day of the month")
    for day in (first, last):
        if day == 0 or abs(day) > _LONGEST_MONTH:
            raise node.mistake(f"{day} is no day of the month")
    if first < 0 < last:
        raise node.mistake("if the first day counts from the end of the month, so must the last")
    if (first + _SHORTEST_MONTH if first < 0 else first) > (last + _SHORTEST_MONTH if last < 0 else last):
        raise node.mistake(f"day {last} is always before day {first}")
    return first, last


def _months(node: Node) -> Range:
    first, last = _range(node, lambda text: _MONTHS.index(text) + 1 if text in _MONTHS else _integer(text), "month")
    if first > last:
        raise node.mistake("the first month is after the last")
    return first, last


def _years(node: Node) -> Range:
    first, last = _range(node, _integer, "year")
    if first > last:
        raise node.mistake("the first year is after the last")
    return first, last


def _integer(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _range(node: Node, read: Callable[[str], int | None], what: str) -> Range:
    ends = node.text().lower().split(":")
    if len(ends) > 2:  # noqa: PLR2004 - a first and a last
        raise node.mistake(f"{node.text()!r} is no range; write it as first:last")
    values = []
    for end in ends:
        value = read(end)
        if value is None:
            raise node.mistake(f"{end!r} is no {what}")
        values.append(value)
    return values[0], values[-1]
