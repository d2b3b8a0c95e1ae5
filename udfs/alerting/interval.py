"""Time intervals: recurring spans of time in which a route is mute, or outside of which it is."""

from calendar import monthrange
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

Range = tuple[int, int]
"""First and last, both included."""


class TimeInterval(Struct, frozen=True, kw_only=True):
    """Instants that are in one of the ranges of each field; None, a field that was not given, holds always."""

    times: tuple[Range, ...] | None = None
    """Minutes of the day, the first included, the last not; 1440 is midnight at its end."""
    weekdays: tuple[Range, ...] | None = None
    """0 is Sunday."""
    days_of_month: tuple[Range, ...] | None = None
    """From 1; -1 is the last day of the month."""
    months: tuple[Range, ...] | None = None
    years: tuple[Range, ...] | None = None
    location: str = "UTC"

    def holds(self, at_ms: int) -> bool:
        """Return whether an instant is in the interval, by the clocks of its location.

        Source: Alertmanager, `timeinterval.TimeInterval.ContainsTime`.
        """
        at = datetime.fromtimestamp(at_ms / 1_000, _zone(self.location))
        minute = at.hour * 60 + at.minute
        if self.times is not None and not any(first <= minute < last for first, last in self.times):
            return False
        if self.days_of_month is not None and not any(_is_day(at, *days) for days in self.days_of_month):
            return False
        return (
            _holds(self.months, at.month) and _holds(self.weekdays, at.isoweekday() % 7) and _holds(self.years, at.year)
        )


def _holds(ranges: tuple[Range, ...] | None, value: int) -> bool:
    return ranges is None or any(first <= value <= last for first, last in ranges)


def _is_day(at: datetime, first: int, last: int) -> bool:
    days = monthrange(at.year, at.month)[1]
    if first < 0:
        first += days + 1
    if last < 0:
        last += days + 1
    return first <= days and first <= at.day <= min(last, days)


@lru_cache(maxsize=1_000)
def _zone(location: str) -> tzinfo | None:
    if location == "Local":
        return None  # the clock of the machine
    return UTC if location in {"", "UTC"} else ZoneInfo(location)
