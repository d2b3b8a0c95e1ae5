"""Instant text: milliseconds since the epoch as RFC 3339 text, written by a kernel as one MessagePack text."""

import numpy as np
from numpy.typing import NDArray

from udfs.kernels import kernel

FIRST_AT_MS = 946_684_800_000
"""2000-01-01T00:00:00Z"""
LAST_AT_MS = 4_102_444_799_999
"""2099-12-31T23:59:59.999Z: within the century, every fourth year has a leap day."""

_DAY_MS = 86_400_000
_FIRST_OF_MARCH_2000 = 11_017
_FOUR_YEARS = 1_461


@kernel
def write_instant(target: NDArray[np.uint8], to: int, at_ms: int) -> int:
    """Write a time of the years 2000 to 2099 as text, `2026-11-24T09:30:00.000Z`; return where it ends."""
    days, rest = at_ms // _DAY_MS, at_ms % _DAY_MS
    # Days since 1 March 2000, so that the leap day is the last of its year; no century year lies in between.
    since = days - _FIRST_OF_MARCH_2000
    year, month, day = 2000, 0, 0
    if since < 0:
        month, day = (1, since + 61) if since < -29 else (2, since + 30)
    else:
        year += 4 * (since // _FOUR_YEARS)
        since %= _FOUR_YEARS
        years = min(since // 365, 3)
        year += years
        since -= 365 * years
        month = (5 * since + 2) // 153
        day = since - (153 * month + 2) // 5 + 1
        month += 3
        if month > 12:
            month -= 12
            year += 1
    hour, minute = rest // 3_600_000, rest // 60_000 % 60
    second, millisecond = rest // 1_000 % 60, rest % 1_000
    target[to] = 0xA0 | 24
    _digits(target, to + 1, 4, year)
    target[to + 5] = 0x2D
    _digits(target, to + 6, 2, month)
    target[to + 8] = 0x2D
    _digits(target, to + 9, 2, day)
    target[to + 11] = 0x54
    _digits(target, to + 12, 2, hour)
    target[to + 14] = 0x3A
    _digits(target, to + 15, 2, minute)
    target[to + 17] = 0x3A
    _digits(target, to + 18, 2, second)
    target[to + 20] = 0x2E
    _digits(target, to + 21, 3, millisecond)
    target[to + 24] = 0x5A
    return to + 25


@kernel
def _digits(target: NDArray[np.uint8], to: int, width: int, value: int) -> None:
    for place in range(width - 1, -1, -1):
        target[to + place] = 0x30 + value % 10
        value //= 10
