"""Counters: what the TaskManagers say of the job's progress, read from their Prometheus pages."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import httpx

from jobs.bench.rates import Reading
from jobs.errors import SentinelError
from jobs.replay.stream import Record

_SAMPLE: Final = re.compile(r"^(\w+)(?:\{[^}]*\})? (\S+)", re.MULTILINE)
_REQUEST_S: Final = 10.0
_STALLED_S: Final = 60.0
_TELL_S: Final = 5.0
RECORDS: Final = "sentinel_records"
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


def total(page: str, counter: str) -> int:
    """Return the sum of a counter over all its series on a Prometheus page; 0 if it is not there yet."""
    return sum(int(float(value)) for name, value in _SAMPLE.findall(page) if name.endswith(f"_{counter}"))


def read_total(urls: Mapping[str, str], counter: str = RECORDS) -> Reading:
    """Return the sum of a counter over the TaskManagers of a stack, and when it was read."""
    try:
        pages = [
            httpx.get(url, timeout=_REQUEST_S, trust_env=False).raise_for_status().text
            for name, url in urls.items()
            if name.startswith("taskmanager")
        ]
    except httpx.HTTPError as error:
        raise SentinelError(f"A TaskManager does not answer with its metrics: {error}.") from None
    return Reading(time.monotonic(), sum(total(page, counter) for page in pages))


def read_until(
    read: Callable[[], Reading], wanted: int, *, every_s: float = 0.5, tell: Callable[[Reading], None]
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
