"""Active hours: the spans of time that a schedule of days and hours stands for."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from schemas.alert import AlertSchedule
from udfs.alerting.wall_clock import instant_of, wall_of, zone

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = timedelta(days=1)
_LOOK_AHEAD_DAYS: Final = 16
"""Two weeks hold every span of a week, whatever day it begins on and the clocks do."""


def check_hours(schedule: AlertSchedule) -> None:
    """Raise ValueError, naming the field, unless the schedule has a known time zone and is active at some time."""
    try:
        zone(schedule.timezone)
    except ValueError as error:
        raise ValueError(f"timezone: {error}") from None
    if not schedule.days_of_week:
        raise ValueError("days_of_week: an empty list is never active; leave it out for every day")
    if schedule.active_hours is not None and schedule.active_hours.start == "24:00":
        raise ValueError("active_hours.start: a day begins at 00:00; 24:00 is for its end")


def spans(schedule: AlertSchedule, from_ms: int) -> Iterator[tuple[int, int]]:
    """Yield the active spans `[start, end)` that end after an instant, those of about two weeks, in their order."""
    where = zone(schedule.timezone)
    start, end = ("00:00", "24:00")
    if schedule.active_hours is not None:
        start, end = schedule.active_hours.start, schedule.active_hours.end
    midnight = wall_of(from_ms, where).replace(hour=0, minute=0, second=0, microsecond=0) - 2 * _DAY
    for number in range(_LOOK_AHEAD_DAYS):
        day = midnight + number * _DAY
        if _DAYS[day.weekday()] not in schedule.days_of_week:
            continue
        begins, ends = _on(day, start), _on(day, end)
        if ends <= begins:
            ends += _DAY
        span = instant_of(begins, where), instant_of(ends, where)
        if span[1] > from_ms and span[1] > span[0]:
            yield span


def is_active(schedule: AlertSchedule, at_ms: int) -> bool:
    """Return whether an instant is in the schedule's hours."""
    return any(start <= at_ms for start, _ in _soonest(schedule, at_ms))


def next_active_at_ms(schedule: AlertSchedule, at_ms: int) -> int | None:
    """Return the first instant from a given one on that is in the schedule's hours, None if there is none."""
    return next((max(start, at_ms) for start, _ in spans(schedule, at_ms)), None)


def _soonest(schedule: AlertSchedule, at_ms: int) -> Iterator[tuple[int, int]]:
    """Yield the first two spans: hours that reach into the next day's may overlap with them."""
    for number, span in enumerate(spans(schedule, at_ms)):
        if number == 2:  # noqa: PLR2004 - as the docstring says
            return
        yield span


def _on(day: datetime, time: str) -> datetime:
    hours, minutes = time.split(":")
    return day + timedelta(hours=int(hours), minutes=int(minutes))
