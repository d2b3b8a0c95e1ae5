"""Planting: absurd events put into a stream of telemetry, apart enough for each to be told of on its own."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from jobs.replay.bulk import ABSURD_LATENCY, ABSURD_TOKENS
from jobs.replay.stream import Record
from schemas.codec import decode_event, encode
from schemas.telemetry import EventType, Status, TelemetryEvent

APART_MS = 65_000
"""How long an entity is left alone after an absurd event: detectors tell of one episode once a minute."""


class Planting:
    """Makes events of a stream absurd and remembers which."""

    def __init__(self, *, start_at_ms: int, end_at_ms: int, wanted: int) -> None:
        """Plant `wanted` events, evenly from `start_at_ms` to `end_at_ms` of event time."""
        self._start_at_ms = start_at_ms
        self._every_ms = (end_at_ms - start_at_ms) / wanted
        self._wanted = wanted
        self._last_at_ms: dict[tuple[str | None, ...], int] = {}
        self.planted: set[str] = set()
        """Ids of the events that were made absurd."""
        self.event_at_ms: dict[str, int] = {}
        """Their event times."""

    def planted_in(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records in their order; when one is due, the first event of a rested entity becomes absurd."""
        for record in records:
            count = len(self.planted)
            due = count < self._wanted and record.due_ms >= self._start_at_ms + count * self._every_ms
            # Heartbeats are the records that name their partition.
            yield self._absurd(record) if due and record.partition is None else record

    def _absurd(self, record: Record) -> Record:
        event = decode_event(record.value)
        data = event.data
        entity = (event.tenant_id, event.application_id, data.provider, data.model)
        rested = record.due_ms - self._last_at_ms.get(entity, record.due_ms - APART_MS) >= APART_MS
        if not rested or event.event_type is not EventType.RESPONSE or data.status is not Status.SUCCESS:
            return record
        self._last_at_ms[entity] = record.due_ms
        self.planted.add(event.event_id)
        self.event_at_ms[event.event_id] = record.due_ms
        return record._replace(value=encode(absurd(event)))


def absurd(event: TelemetryEvent) -> TelemetryEvent:
    """Return the event with 400 times its latency and 100 times its tokens and cost."""
    data = event.data
    return replace(
        event,
        data=replace(
            data,
            latency_ms=None if data.latency_ms is None else data.latency_ms * ABSURD_LATENCY,
            prompt_tokens=None if data.prompt_tokens is None else data.prompt_tokens * ABSURD_TOKENS,
            completion_tokens=None if data.completion_tokens is None else data.completion_tokens * ABSURD_TOKENS,
            cost=None if data.cost is None else data.cost * ABSURD_TOKENS,
        ),
    )


def most_plantable(entities: int, duration_ms: int) -> int:
    """Return how many absurd events so many entities can take in a time, half of them resting at any moment."""
    return entities * max(duration_ms, APART_MS) // APART_MS // 2
