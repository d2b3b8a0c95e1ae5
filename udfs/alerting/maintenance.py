"""Maintenance windows: silences that come by the calendar, once or again and again."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Final

from dateutil.rrule import rrule, rrulestr
from msgspec import Meta, Struct

from schemas.alert import AlertDuration
from udfs.alerting.on_call_schedule import Name
from udfs.alerting.wall_clock import LocalTime, TimeZone, duration_ms, instant_of, wall_of, wall_time, zone

_HOUR_MS: Final = 3_600_000
_DAY: Final = timedelta(days=1)
_REFUSED: Final = re.compile(r"FREQ=(?:SECONDLY|MINUTELY)|BYSECOND|[\r\n]|RDATE|EXDATE|DTSTART", re.IGNORECASE)


class MaintenanceWindow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When nobody is told of the alerts that match, because what they say is known and meant.

    Either `starts` and `ends`; or `starts`, `repeats` and `duration`. An alert that still fires when the window is
    over is told then.
    """

    name: Name
    matchers: tuple[str, ...] = ()
    """As in an Alertmanager route, `service="gateway"`; an alert has to fulfil all of them. None match every alert."""
    timezone: TimeZone = "UTC"
    starts: LocalTime
    """Begin of the window, or of the first."""
    ends: LocalTime | None = None
    repeats: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    """Recurrence rule of RFC 5545, as `FREQ=WEEKLY;BYDAY=SU`, on the wall clock of the time zone; `UNTIL` likewise."""
    duration: AlertDuration | None = None
    """How long each of the repeated windows lasts, at most 7 days."""
    comment: str = ""


def check_window(window: MaintenanceWindow) -> None:
    """Raise ValueError, naming the field and what to write instead, unless the window says when it is."""
    for field, check in (("timezone", zone), ("starts", wall_time), ("ends", wall_time), ("duration", duration_ms)):
        text = getattr(window, field)
        try:
            if text is not None:
                check(text)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from None
    if window.repeats is None:
        if window.ends is None or window.duration is not None:
            raise ValueError("ends: a window that is not repeated has a start and an end, and no duration")
        where = zone(window.timezone)
        if instant_of(wall_time(window.ends), where) <= instant_of(wall_time(window.starts), where):
            raise ValueError(f"ends: {window.ends} is not after the start {window.starts}")
        return
    if window.ends is not None or window.duration is None or duration_ms(window.duration) == 0:
        raise ValueError("duration: a repeated window has one above 0, and no end")
    if _REFUSED.search(window.repeats):
        raise ValueError(
            "repeats: one RRULE with a frequency of HOURLY or rarer, without BYSECOND; the start is in `starts`"
        )
    try:
        _rule(window)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"repeats: {window.repeats} is no recurrence rule such as FREQ=WEEKLY;BYDAY=SU (UNTIL without Z): {error}"
        ) from None


def in_maintenance(window: MaintenanceWindow, at_ms: int) -> bool:
    """Return whether the window is open at an instant."""
    return ends_at_ms(window, at_ms) is not None


def ends_at_ms(window: MaintenanceWindow, at_ms: int) -> int | None:
    """Return when the window that is open at an instant ends, None if none is; of two that overlap, the later end."""
    open_until = [end for start, end in _around(window, at_ms // _HOUR_MS) if start <= at_ms < end]
    return max(open_until, default=None)


def next_start_at_ms(window: MaintenanceWindow, at_ms: int) -> int | None:
    """Return when the window next opens after an instant, None if it never does again."""
    where = zone(window.timezone)
    if window.repeats is None:
        start = instant_of(wall_time(window.starts), where)
        return start if start > at_ms else None
    # The same wall time may come twice, so the one before may still be to come.
    found = _rule(window).xafter(wall_of(at_ms, where) - _DAY)
    return next((instant for each in found if (instant := instant_of(each, where)) > at_ms), None)


@lru_cache(maxsize=4_096)
def _around(window: MaintenanceWindow, hour: int) -> tuple[tuple[int, int], ...]:
    """Return the spans `[start, end)` that touch an hour, counted since the epoch."""
    where = zone(window.timezone)
    if window.repeats is None:
        return ((instant_of(wall_time(window.starts), where), instant_of(wall_time(window.ends or ""), where)),)
    length_ms = duration_ms(window.duration or "")
    from_ms, until_ms = hour * _HOUR_MS, (hour + 1) * _HOUR_MS
    begins = _rule(window).between(
        wall_of(from_ms - length_ms, where) - _DAY, wall_of(until_ms, where) + _DAY, inc=True
    )
    starts = (instant_of(each, where) for each in begins)
    return tuple((start, start + length_ms) for start in starts if start < until_ms and start + length_ms > from_ms)


@lru_cache(maxsize=1_024)
def _rule(window: MaintenanceWindow) -> rrule:
    found = rrulestr(window.repeats or "", dtstart=wall_time(window.starts), cache=True)
    if not isinstance(found, rrule):
        raise ValueError("it is a set of rules")  # noqa: TRY004 - what a user wrote, not a type
    return found
