"""Records for a topic or a file: events with their keys, repeats, disorder within a bound, heartbeats."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from schemas.telemetry import HEARTBEAT_METRIC, Data, EventType, Source, TelemetryEvent
from schemas.time import from_at_ms

HEARTBEAT_EVERY_MS = 1_000

_HEARTBEAT_SOURCE = Source(service="replay", host="replay")
_BATCH = 1_024

Encode = Callable[[TelemetryEvent], bytes]


class Record(NamedTuple):
    """What is sent, in the order of `due_ms`."""

    due_ms: int
    """When to send it, on the clock of event time: not before the time of its event."""
    key: bytes | None
    value: bytes
    partition: int | None = None
    """None means the partition of the key."""


def keyed(timed: Iterable[tuple[int, TelemetryEvent]], encode: Encode) -> Iterator[Record]:
    """Yield the record of every event: its key is `tenant|application`."""
    for at_ms, event in timed:
        yield Record(at_ms, f"{event.tenant_id}|{event.application_id}".encode(), encode(event))


def repeated(records: Iterable[Record], share: float, seed: int) -> Iterator[Record]:
    """Yield every record, and this share of them twice, as an at-least-once producer would."""
    chance = _uniform(seed, 101)
    for record in records:
        yield record
        if next(chance) < share:
            yield record


def disordered(records: Iterable[Record], bound_ms: int, seed: int) -> Iterator[Record]:
    """Yield the records delayed by up to `bound_ms`, so that none comes after one that is newer by more than that."""
    chance, tie = _uniform(seed, 102), count()
    waiting: list[tuple[int, int, Record]] = []
    for record in records:
        while waiting and waiting[0][0] <= record.due_ms:
            yield heappop(waiting)[2]
        delayed = record._replace(due_ms=record.due_ms + int(next(chance) * bound_ms))
        heappush(waiting, (delayed.due_ms, next(tie), delayed))
    while waiting:
        yield heappop(waiting)[2]


def with_heartbeats(
    records: Iterable[Record],
    *,
    partitions: int,
    start_at_ms: int,
    end_at_ms: int,
    bound_ms: int,
    encode: Encode,
) -> Iterator[Record]:
    """Yield the records and, to every partition, a heartbeat for each whole second in [start, end].

    A heartbeat is stamped `bound_ms` (that of `disordered`) before the moment it is sent, so that no later record of
    any partition is older than it. Sending one does not wait for a record to come.
    """
    tick_ms = -(-start_at_ms // HEARTBEAT_EVERY_MS) * HEARTBEAT_EVERY_MS
    for record in records:
        while tick_ms <= min(record.due_ms, end_at_ms):
            yield from _heartbeats(tick_ms, partitions, bound_ms, encode)
            tick_ms += HEARTBEAT_EVERY_MS
        yield record
    while tick_ms <= end_at_ms:
        yield from _heartbeats(tick_ms, partitions, bound_ms, encode)
        tick_ms += HEARTBEAT_EVERY_MS


def heartbeat(at_ms: int, partition: int) -> TelemetryEvent:
    """Return the event that says: this partition has been told everything up to `at_ms`."""
    return TelemetryEvent(
        event_id=str(uuid5(NAMESPACE_URL, f"sentinel/heartbeat/{partition}/{at_ms}")),
        timestamp=from_at_ms(at_ms),
        source=_HEARTBEAT_SOURCE,
        event_type=EventType.METRIC,
        application_id="sentinel",
        data=Data(metric_name=HEARTBEAT_METRIC, value=1.0, unit="1", dimensions={"partition": str(partition)}),
    )


def _heartbeats(tick_ms: int, partitions: int, bound_ms: int, encode: Encode) -> Iterator[Record]:
    for partition in range(partitions):
        yield Record(tick_ms, None, encode(heartbeat(tick_ms - bound_ms, partition)), partition)


def _uniform(seed: int, purpose: int) -> Iterator[float]:
    generator = np.random.default_rng([seed, purpose])
    while True:
        yield from generator.random(_BATCH).tolist()
