"""Counters: what Flink says of the job's progress."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from jobs.bench.rates import Reading
from jobs.errors import SentinelError
from jobs.replay.stream import Record
from jobs.stack.flink_cluster import FlinkCluster
from jobs.stack.metrics import read_sum

_STALLED_S: Final = 60.0
_TELL_S: Final = 5.0
RECORDS: Final = "detect.sentinel.records"
"""Records the detection has taken, heartbeats and bad ones included."""


class Counted:
    """Counts the records that pass, which is what the job has to take."""

    def __init__(self) -> None:
        self.records = 0

    def of(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records."""
        for record in records:
            self.records += 1
            yield record


def read_total(cluster: FlinkCluster) -> Reading:
    """Return how many records the job has taken, and when that was read."""
    return Reading(time.monotonic(), read_sum(cluster, RECORDS))


def read_until(
    read: Callable[[], Reading], wanted: int, *, every_s: float = 2.0, tell: Callable[[Reading], None]
) -> list[Reading]:
    """Return readings in this distance, the last of them with everything that is wanted taken; tell of some.

    Raises SentinelError when nothing more is taken for a minute.
    """
    readings = [read()]
    moved_at_s = told_at_s = readings[0].at_s
    while readings[-1].records < wanted:
        time.sleep(every_s)
        readings.append(read())
        if readings[-1].at_s - told_at_s >= _TELL_S:
            told_at_s = readings[-1].at_s
            tell(readings[-1])
        if readings[-1].records != readings[-2].records:
            moved_at_s = readings[-1].at_s
        elif readings[-1].at_s - moved_at_s > _STALLED_S:
            raise SentinelError(f"The job took {readings[-1].records:,} of {wanted:,} records and then no more.")
    return readings
