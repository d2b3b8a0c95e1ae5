"""Times and durations as Go has them: the methods and the layouts that templates use.

A layout is Go's reference time written as wanted: `2006-01-02 15:04:05 MST`. Source: Go, package time.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from udfs.templates.problem import ValueProblem

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CHUNK: Final = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|__2|_2|002|0[1-6]|15|PM|pm"
    r"|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000|-07:00|-0700|-07"
    r"|[.,]0+(?![0-9])|[.,]9+(?![0-9])|[1-6]"
)
ZERO: Final = datetime(1, 1, 1, tzinfo=UTC)


class GoDuration(int):
    """A duration in nanoseconds, printed as `1h2m3.5s`."""

    def text(self) -> str:
        """Return the duration as Go writes it."""
        ns = abs(int(self))
        sign = "-" if self < 0 else ""
        if ns == 0:
            return "0s"
        for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
            if ns < size * 1_000:
                return f"{sign}{_decimal(ns, size)}{unit}"
        seconds, rest = divmod(ns, 10**9)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        tail = f"{_decimal(seconds * 10**9 + rest, 10**9)}s"
        return sign + (f"{hours}h{minutes}m{tail}" if hours else f"{minutes}m{tail}" if minutes else tail)

    def rounded(self, unit: "GoDuration") -> "GoDuration":
        """Return the nearest multiple of a duration, halves away from zero."""
        if unit <= 0:
            return self
        size = int(unit)
        near = (abs(int(self)) + size // 2) // size * size
        return GoDuration(near if self >= 0 else -near)

    def truncated(self, unit: "GoDuration") -> "GoDuration":
        """Return the multiple of a duration towards zero."""
        if unit <= 0:
            return self
        near = abs(int(self)) // int(unit) * int(unit)
        return GoDuration(near if self >= 0 else -near)


class GoNamed(int):
    """A month or weekday: a number that prints as its name."""

    name: str

    def __new__(cls, number: int, name: str) -> Self:
        """Make a number with a name."""
        made = super().__new__(cls, number)
        made.name = name
        return made


class GoTime:
    """An instant with a zone; microseconds are the finest."""

    __slots__ = ("_json", "at")

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._json = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GoTime) and self.at == other.at

    def __hash__(self) -> int:
        return hash(self.at)

    def text(self) -> str:
        """Return the time as Go prints it."""
        return self.formatted("2006-01-02 15:04:05.999999999 -0700 MST")

    def json_text(self) -> str:
        """Return the time as Go writes it into JSON (RFC 3339, no trailing zeros)."""
        if not self._json:
            self._json = self.formatted("2006-01-02T15:04:05.999999999Z07:00")
        return self._json

    def formatted(self, layout: str) -> str:
        """Return the time in a layout."""
        return _CHUNK.sub(lambda found: self._chunk(found[0]), layout)

    def in_zone(self, name: str) -> "GoTime":
        """Return the same instant in a zone of the IANA database; raises ValueProblem if there is none of the name."""
        if name in ("", "UTC", "Local"):
            return GoTime(self.at.astimezone(UTC))
        try:
            return GoTime(self.at.astimezone(ZoneInfo(name)))
        except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError):
            raise ValueProblem(f"unknown time zone {name}") from None

    def minus(self, other: "GoTime") -> GoDuration:
        """Return the time since another."""
        return GoDuration((self.at - other.at) // timedelta(microseconds=1) * 1_000)

    def plus(self, duration: GoDuration) -> "GoTime":
        """Return the time later by a duration; raises ValueProblem beyond the years 1 to 9999."""
        try:
            return GoTime(self.at + timedelta(microseconds=int(duration) // 1_000))
        except OverflowError:
            raise ValueProblem("the time is outside the years 1 to 9999") from None

    def _chunk(self, chunk: str) -> str:  # noqa: C901, PLR0911, PLR0912 - the table of layouts as Go has it
        at = self.at
        match chunk:
            case "January":
                return _MONTHS[at.month - 1]
            case "Jan":
                return _MONTHS[at.month - 1][:3]
            case "Monday":
                return _DAYS[at.weekday()]
            case "Mon":
                return _DAYS[at.weekday()][:3]
            case "MST":
                return self._zone()
            case "2006":
                return f"{at.year:04d}"
            case "06":
                return f"{at.year % 100:02d}"
            case "01" | "1":
                return f"{at.month:0{len(chunk)}d}"
            case "02" | "2":
                return f"{at.day:0{len(chunk)}d}"
            case "_2":
                return f"{at.day:2d}"
            case "002":
                return f"{at.timetuple().tm_yday:03d}"
            case "__2":
                return f"{at.timetuple().tm_yday:3d}"
            case "15":
                return f"{at.hour:02d}"
            case "03" | "3":
                return f"{at.hour % 12 or 12:0{len(chunk)}d}"
            case "04" | "4":
                return f"{at.minute:0{len(chunk)}d}"
            case "05" | "5":
                return f"{at.second:0{len(chunk)}d}"
            case "PM":
                return "PM" if at.hour >= 12 else "AM"  # noqa: PLR2004 noon
            case "pm":
                return "pm" if at.hour >= 12 else "am"  # noqa: PLR2004 noon
        if chunk[0] in "Z-":
            return self._offset(chunk)
        if chunk[0] in ".,":
            digits = f"{at.microsecond:06d}000"[: len(chunk) - 1].ljust(len(chunk) - 1, "0")
            if chunk[1] == "9":
                digits = digits.rstrip("0")
            return chunk[0] + digits if digits else ""
        return chunk

    def _zone(self) -> str:
        name = self.at.tzname() or ""
        return name if name and not name.startswith(("UTC+", "UTC-")) else self._offset("-0700")

    def _offset(self, chunk: str) -> str:
        seconds = (self.at.utcoffset() or timedelta()) // timedelta(seconds=1)
        if chunk[0] == "Z" and seconds == 0:
            return "Z"
        hours, rest = divmod(abs(seconds), 3600)
        minutes, seconds_left = divmod(rest, 60)
        parts = [f"{hours:02d}", f"{minutes:02d}", f"{seconds_left:02d}"]
        count = len(re.findall("[0-9]{2}", chunk))
        return ("-" if seconds < 0 else "+") + (":" if ":" in chunk else "").join(parts[:count])


@lru_cache(maxsize=4_096)
def time_of(at_ms: int | None) -> GoTime:
    """Return the time of milliseconds since the epoch; None is Go's zero time, in year 1."""
    if at_ms is None:
        return GoTime(ZERO)
    return GoTime(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms))


def read_time(layout: str, text: str) -> GoTime:  # noqa: C901, PLR0912 - the table of layouts as Go has it
    """Return the time that a text gives in a layout, in UTC unless it has an offset; raises ValueProblem."""
    chunks = _CHUNK.findall(layout)
    pattern, last = "", 0
    for found in _CHUNK.finditer(layout):
        pattern += re.escape(layout[last : found.start()]) + _chunk_pattern(found[0])
        last = found.end()
    found_text = re.fullmatch(pattern + re.escape(layout[last:]) + r"", text)
    problem = ValueProblem(f'"{text}" is no time of the layout "{layout}"')
    if found_text is None:
        raise problem
    parts: dict[str, int] = {"year": 0, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0}
    zone, is_pm = 0, None
    for chunk, value in zip(chunks, found_text.groups(), strict=True):
        match chunk:
            case "2006":
                parts["year"] = int(value)
            case "06":
                parts["year"] = int(value) + (1900 if int(value) >= 69 else 2000)  # noqa: PLR2004 as Go splits centuries
            case "01" | "1":
                parts["month"] = int(value)
            case "January" | "Jan":
                parts["month"] = [name[: len(value)] for name in _MONTHS].index(value.capitalize()) + 1
            case "02" | "2" | "_2":
                parts["day"] = int(value)
            case "15" | "03" | "3":
                parts["hour"] = int(value)
            case "04" | "4":
                parts["minute"] = int(value)
            case "05" | "5":
                parts["second"] = int(value)
            case "PM" | "pm":
                is_pm = value.upper() == "PM"
            case _ if chunk[0] in "Z-" and value != "Z":
                digits = re.sub("[^0-9]", "", value).ljust(6, "0")
                zone = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
                zone = -zone if value[0] == "-" else zone
            case _ if chunk[0] in ".,":
                parts["microsecond"] = int((value or "")[1:7].ljust(6, "0"))
    if is_pm is not None:
        parts["hour"] = parts["hour"] % 12 + (12 if is_pm else 0)
    try:
        return GoTime(datetime(**parts, tzinfo=timezone(timedelta(seconds=zone)) if zone else UTC))
    except (ValueError, OverflowError):
        raise problem from None


def _chunk_pattern(chunk: str) -> str:
    if chunk[0] in "Z-":
        return r"(Z|[+-]\d\d(?::?\d\d){0,2})" if chunk[0] == "Z" else r"([+-]\d\d(?::?\d\d){0,2})"
    if chunk[0] in ".,":
        return r"((?:[.,]\d+)?)" if chunk[1] == "9" else rf"([.,]\d{{{len(chunk) - 1}}})"
    patterns = {
        "2006": r"(\d{4})",
        "January": f"({'|'.join(_MONTHS)})",
        "Jan": f"({'|'.join(name[:3] for name in _MONTHS)})",
        "Monday": f"({'|'.join(_DAYS)})",
        "Mon": f"({'|'.join(name[:3] for name in _DAYS)})",
        "MST": r"([A-Z]{3,5})",
        "PM": "(AM|PM)",
        "pm": "(am|pm)",
        "002": r"(\d{3})",
        "__2": r"([ \d]{3})",
        "_2": r"( ?\d{1,2})",
    }
    return patterns.get(chunk, r"(\d{2})" if len(chunk) == 2 else r"(\d{1,2})")  # noqa: PLR2004 digits


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if size > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)
