"""Instants: RFC 3339 text on the wire, integer milliseconds since the Unix epoch everywhere inside."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import Meta

_DAY_AND_TIME: Final = (
    r"-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
INSTANT_PATTERN: Final = r"^[0-9]{4}" + _DAY_AND_TIME
"""What an RFC 3339 date and time looks like; whether the month has that day is for `to_at_ms` to say."""
EVENT_TIME_PATTERN: Final = r"^(1999|20[0-9]{2}|2100)" + _DAY_AND_TIME
"""The same in the years an event can be of, with room for offsets at both ends."""

Instant = Annotated[str, Meta(pattern=INSTANT_PATTERN, extra_json_schema={"format": "date-time"})]
"""An RFC 3339 text; Sentinel itself writes UTC with milliseconds and `Z`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = _EPOCH.replace(tzinfo=None)
_UtcText = Annotated[datetime, Meta(tz=True)]
_FORM: Final = re.compile(INSTANT_PATTERN)
_TOO_FINE: Final = re.compile(r"(\.[0-9]{6})[0-9]+")
_MILLISECONDS: Final = {"Z": 0} | {f".{number:03d}Z": number for number in range(1_000)}
"""Endings of a time in UTC, by the milliseconds they stand for."""
_LAST_AT_MS: Final = 253_402_300_799_999
_FIRST_AT_MS: Final = -62_135_596_800_000


def to_at_ms(text: str) -> int:
    """Return the milliseconds since the epoch of an RFC 3339 text, digits beyond milliseconds cut off.

    Any offset is accepted. Raises ValueError for everything else, leap seconds (`:60`) included: they do not exist in
    epoch time. A third of a microsecond for what Sentinel writes itself, seconds being asked for again and again.
    """
    milliseconds = _MILLISECONDS.get(text[19:])
    return _parsed_at_ms(text) if milliseconds is None else _second_at_ms(text[:19]) + milliseconds


@lru_cache(maxsize=4_096)
def _second_at_ms(text: str) -> int:
    return _parsed_at_ms(text + "Z")


def _parsed_at_ms(text: str) -> int:
    # The parser alone would forgive a space for the T and offsets without a colon.
    if _FORM.fullmatch(text) is None:
        msg = "not an RFC 3339 date and time with an offset"
        raise ValueError(msg)
    # Nanoseconds are usual in OpenTelemetry; rounding them would move an event into the next millisecond.
    since = msgspec.convert(_TOO_FINE.sub(r"\1", text), _UtcText) - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def from_at_ms(at_ms: int) -> str:
    """Return the RFC 3339 text of milliseconds since the epoch: `2026-11-24T09:30:00.000Z`.

    Raises ValueError outside the years 1 to 9999.
    """
    if not _FIRST_AT_MS <= at_ms <= _LAST_AT_MS:
        msg = f"{at_ms} ms since the epoch is outside the years 1 to 9999"
        raise ValueError(msg)
    second, milliseconds = divmod(at_ms, 1_000)
    return f"{_second_text(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4_096)
def _second_text(second: int) -> str:
    return (_NAIVE_EPOCH + timedelta(seconds=second)).isoformat()
