"""Event columns: a batch of telemetry records as columns, one row a record, whatever the format they are written in."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

import msgspec
import numpy as np

from schemas.codec import decode_timed_event
from schemas.refusal import DecodeError
from schemas.telemetry import EVENT_BYTES_MAX, EventType, Status, TelemetryEvent
from udfs.json_kernel import GIVEN_UP, read_events
from udfs.json_program import CODES, EVENT_TYPE, NUMBER_LIMITS, NUMBERS, STATUS, TEXTS, Octets, telemetry_json_program
from udfs.kernels import Floats, Integers
from udfs.telemetry_records import TelemetryFormat, prepare

TYPES: Final = tuple(EventType)
STATUSES: Final = tuple(Status)
_METRIC: Final = TYPES.index(EventType.METRIC)


class EventColumns(msgspec.Struct):
    """Columns of n records."""

    at_ms: Integers
    """Event times; `GIVEN_UP` for what is no event."""
    numbers: Floats
    """float64[n, 5], NaN where missing: see `udfs.json_program.NUMBERS`."""
    codes: Integers
    """int64[n, 2]: number of event type and status, -1 where missing."""
    source: Octets
    texts: Integers
    """int64[n, 9, 2]: begin and end in `source` of each of `udfs.json_program.TEXTS`; 0 and 0 where missing."""
    refused: dict[int, DecodeError]
    """Why a record is no event, by its position."""
    event: Callable[[int], TelemetryEvent]
    """Return the event of a position."""

    def text(self, position: int, column: int) -> str | None:
        """Return one text."""
        start, end = self.texts[position, column].tolist()
        return self.source[start:end].tobytes().decode() if end else None


def read_columns(payloads: Sequence[bytes | None], telemetry_format: TelemetryFormat) -> EventColumns:
    """Return the columns of records; nothing is raised for bad ones."""
    if telemetry_format == "json":
        return _from_json(payloads)
    records, decode = prepare(payloads, telemetry_format)
    columns = _empty(len(payloads), b"\0", lambda position: decode(records[position])[0])
    _decode(columns, range(len(payloads)), lambda position: decode(records[position]))
    return columns


def _from_json(payloads: Sequence[bytes | None]) -> EventColumns:
    # What is too large is not even looked at; nothing is a record of length 0, which is given up.
    sound = [payload if payload and len(payload) <= EVENT_BYTES_MAX else b"" for payload in payloads]
    source = b"\0" + b"\0".join(sound) + b"\0"
    ends = np.fromiter(accumulate(map(len, sound)), dtype=np.int64, count=len(sound)) + np.arange(1, len(sound) + 1)
    starts = np.concatenate([[1], ends[:-1] + 1])[: len(sound)]
    columns = _empty(len(sound), source, lambda position: decode_timed_event(payloads[position])[0])
    inexact = np.zeros((len(sound), len(NUMBERS), 2), dtype=np.int64)
    program = telemetry_json_program()
    read_events(
        columns.source,
        starts,
        ends,
        *program,
        columns.at_ms,
        columns.numbers,
        inexact,
        columns.codes,
        columns.texts,
    )
    for position, column in np.argwhere(inexact[:, :, 1]).tolist():
        start, end = inexact[position, column].tolist()
        number = float(source[start:end])
        columns.numbers[position, column] = number
        if number > NUMBER_LIMITS[column]:
            columns.at_ms[position] = GIVEN_UP
    # A metric may lack its name, which the kernel does not look for; heartbeats are few.
    columns.at_ms[columns.codes[:, EVENT_TYPE] == _METRIC] = GIVEN_UP
    given_up = np.flatnonzero(columns.at_ms == GIVEN_UP).tolist()
    if given_up:
        _decode(columns, given_up, lambda position: decode_timed_event(payloads[position]))
    return columns


def _empty(count: int, source: bytes, event: Callable[[int], TelemetryEvent]) -> EventColumns:
    return EventColumns(
        at_ms=np.full(count, GIVEN_UP),
        numbers=np.full((count, len(NUMBERS)), np.nan),
        codes=np.full((count, len(CODES)), -1),
        source=np.frombuffer(source, dtype=np.uint8),
        texts=np.zeros((count, len(TEXTS), 2), dtype=np.int64),
        refused={},
        event=event,
    )


def _decode(
    columns: EventColumns, positions: Sequence[int], decode: Callable[[int], tuple[TelemetryEvent, int]]
) -> None:
    """Fill the rows of records that have to be decoded one by one."""
    events: list[TelemetryEvent] = []
    accepted: list[int] = []
    for position in positions:
        try:
            event, columns.at_ms[position] = decode(position)
        except DecodeError as error:
            columns.at_ms[position] = GIVEN_UP
            columns.refused[position] = error
        else:
            events.append(event)
            accepted.append(position)
    if not events:
        return
    data = [event.data for event in events]
    rows = [(each.latency_ms, each.ttft_ms, each.prompt_tokens, each.completion_tokens, each.cost) for each in data]
    columns.numbers[accepted] = np.array(rows, dtype=np.float64)
    columns.codes[accepted, EVENT_TYPE] = [_TYPE_NUMBERS[event.event_type] for event in events]
    columns.codes[accepted, STATUS] = [_STATUS_NUMBERS[each.status] for each in data]
    texts = [text.encode() if text is not None else None for event in events for text in _texts(event)]
    first = len(columns.source)
    columns.source = np.concatenate(
        [columns.source, np.frombuffer(b"".join([each or b"" for each in texts]), np.uint8)]
    )
    ends = np.fromiter(accumulate(len(each or b"") for each in texts), dtype=np.int64, count=len(texts)) + first
    spans = np.column_stack([np.concatenate([[first], ends[:-1]]), ends])
    spans[[each is None for each in texts]] = 0
    columns.texts[accepted] = spans.reshape(len(events), len(TEXTS), 2)


def _texts(event: TelemetryEvent) -> Iterator[str | None]:
    """Yield the texts of an event in the order of `TEXTS`."""
    data, metadata = event.data, event.metadata
    yield data.provider
    yield data.model
    yield event.tenant_id
    yield event.application_id
    yield metadata.user_id if metadata is not None else None
    yield data.error_type
    yield data.finish_reason
    yield data.guardrail.verdict if data.guardrail is not None else None
    yield event.event_id


_TYPE_NUMBERS = {each: number for number, each in enumerate(TYPES)}
_STATUS_NUMBERS: dict[Status | None, int] = {None: -1} | {each: number for number, each in enumerate(STATUSES)}
