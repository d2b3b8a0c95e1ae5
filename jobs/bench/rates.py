"""Rates: how fast a backlog drains, from counter readings over time."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from jobs.errors import SentinelError

FIRST_SHARE, LAST_SHARE = 0.4, 0.9
"""The steady part of a drain lies between these shares of the backlog."""


class Reading(NamedTuple):
    """A counter read once: `at_s` on a clock that never goes back, `records` taken by the job so far."""

    at_s: float
    records: int


def steady_part(readings: Sequence[Reading], backlog: int) -> tuple[Reading, Reading]:
    """Return the first and the last reading of the steady part of a drain.

    They are the first reading with at least 40 % of the backlog taken, and the last with at most 90 %. Before lies the
    start (kernels load, and the JVM compiles for half a minute), behind it partitions that end before others. Raises
    SentinelError if fewer than five readings lie between: the backlog was too small for a figure, or the job restarted.
    """
    for before, after in pairwise(readings):
        if after.records < before.records:
            raise SentinelError("The job restarted while it was measured: see the TaskManagers' logs.")
    inside = [each for each in readings if FIRST_SHARE * backlog <= each.records <= LAST_SHARE * backlog]
    if len(inside) < 5:  # noqa: PLR2004 - as the docstring says
        raise SentinelError(f"The drain of {backlog:,} events is too short to measure: give more by --events.")
    return inside[0], inside[-1]


def rate_per_s(first: Reading, last: Reading) -> float:
    """Return records per second between two readings."""
    return (last.records - first.records) / (last.at_s - first.at_s)
