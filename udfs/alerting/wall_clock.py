"""Wall clocks: what people write as local time, as instants, on the days the clocks change too.

The instant of a wall time never goes back as the wall time goes on: a time that the clocks skip is the instant at which
they jump, one that they show twice is the first of the two.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta

from schemas.rule import Duration
from udfs.rules.checks import duration_ms

__all__ = ["Duration", "LocalTime", "TimeZone", "duration_ms", "instant_of", "wall_of", "wall_time", "zone"]

LocalTime = Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]T([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A date and a time of day on a wall clock, to the minute, as `2026-11-02T09:00`."""
TimeZone = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+/-]+$")]
"""A name of the IANA time zone database, as `Europe/Berlin`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name; raises ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name} is no time zone; write an IANA name as Europe/Berlin or UTC") from None


def wall_time(text: str) -> datetime:
    """Return a local time as a date and time without zone; raises ValueError for a day the month does not have."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is no date and time; write one as 2026-11-02T09:00") from None


def wall_of(at_ms: int, where: ZoneInfo) -> datetime:
    """Return what a wall clock shows at an instant, without zone."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(where).replace(tzinfo=None)


@lru_cache(maxsize=65_536)
def instant_of(wall: datetime, where: ZoneInfo) -> int:
    """Return the milliseconds since the epoch of a wall time."""
    first = wall.replace(tzinfo=where).astimezone(UTC)
    if first.astimezone(where).replace(tzinfo=None) == wall:
        return (first - _EPOCH) // timedelta(milliseconds=1)
    # Skipped: the clocks jump somewhere between what the two offsets make of it.
    before, after = wall.replace(tzinfo=where, fold=1).astimezone(UTC), first
    old = before.astimezone(where).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(where).utcoffset() == old:
            before = middle
        else:
            after = middle
    return ((after - _EPOCH) // _SECOND) * 1_000
