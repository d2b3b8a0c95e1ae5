"""Durations as Go writes them in a configuration: `1m30s`, `500ms`, also with days and weeks as Prometheus has them."""

import re
from decimal import Decimal
from typing import Final

_MS: Final = {
    "ns": Decimal("0.000001"),
    "us": Decimal("0.001"),
    "µs": Decimal("0.001"),
    "ms": Decimal(1),
    "s": Decimal(1_000),
    "m": Decimal(60_000),
    "h": Decimal(3_600_000),
    "d": Decimal(86_400_000),
    "w": Decimal(604_800_000),
    "y": Decimal(31_536_000_000),
}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d|w|y)")


class DurationMs(int):
    """A duration in milliseconds, written as a text with units."""

    __slots__ = ()


def duration_of(written: object) -> DurationMs:
    """Return the milliseconds of a duration as text, 0 for `0`; raises ValueError for everything else."""
    if isinstance(written, int) and not isinstance(written, bool) and written == 0:
        return DurationMs(0)
    if isinstance(written, str) and written:
        if written == "0":
            return DurationMs(0)
        parts = _PART.findall(written)
        if parts and "".join(number + unit for number, unit in parts) == written:
            return DurationMs(sum(Decimal(number) * _MS[unit] for number, unit in parts))
    raise ValueError("a duration is a text such as 30s, 5m or 1h30m")
