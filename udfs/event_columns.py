"""Event columns: a batch of telemetry records as columns, one row a record, whatever the format they are written in."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final, Literal

import msgspec
import numpy as np

from schemas.avro import decode_event_avro
from schemas.codec import decode_timed_event
from schemas.refusal import DecodeError
from schemas.telemetry import EVENT_BYTES_MAX, EventType, Status, TelemetryEvent
from schemas.time import to_at_ms
from udfs.avro_kernel import read_avro_events
from udfs.json_kernel import GIVEN_UP, read_events
from udfs.kernels import Floats, Integers
from udfs.record_block import RecordBlock
from udfs.telemetry_program import (
    APPLICATION,
    CODES,
    EVENT_TYPE,
    MODEL,
    NUMBER_LIMITS,
    NUMBERS,
    PROVIDER,
    STATUS,
    TENANT,
    TEXTS,
    USER,
    Octets,
    telemetry_program,
)

TelemetryFormat = Literal["json", "avro"]
"""How the records of a telemetry topic are written."""

TYPES: Final = tuple(EventType)
STATUSES: Final = tuple(Status)
_METRIC: Final = TYPES.index(EventType.METRIC)


class EventColumns(msgspec.Struct):
    """Columns of n records."""

    at_ms: Integers
    """Event times; `GIVEN_UP` for what is no event."""
    numbers: Floats
    """float64[n, 5], NaN where missing: see `udfs.telemetry_program.NUMBERS`."""
    codes: Integers
    """int64[n, 2]: number of event type and status, -1 where missing."""
    source: Octets
    texts: Integers
    """int64[n, 9, 2]: begin and end in `source` of each of `udfs.telemetry_program.TEXTS`; 0 and 0 where missing. Of
    records in `decoded` only those that keys are made of."""
    decode: Callable[[int], tuple[TelemetryEvent, int]]
    """Return the event of a position and its time."""
    decoded: dict[int, TelemetryEvent]
    """Events of records that no kernel has read, by position."""
    refused: dict[int, DecodeError]
    """Why a record is no event, by its position."""

    def event(self, position: int) -> TelemetryEvent:
        """Return an event whole."""
        known = self.decoded.get(position)
        return known if known is not None else self.decode(position)[0]

    def text(self, position: int, column: int) -> str | None:
        """Return one text."""
        if position in self.decoded:
            return _TEXTS[column](self.decoded[position])
        start, end = self.texts[position, column].tolist()
        return self.source[start:end].tobytes().decode() if end else None


def read_columns(records: RecordBlock, telemetry_format: TelemetryFormat) -> EventColumns:
    """Return the columns of records; nothing is raised for bad ones."""
    if telemetry_format == "json":
        return _from_json(records)
    return _from_avro(records)


def _from_json(records: RecordBlock) -> EventColumns:
    columns = _empty(len(records), records.source, lambda position: decode_timed_event(records.payload(position)))
    inexact = np.zeros((len(records), len(NUMBERS), 2), dtype=np.int64)
    program = telemetry_program()
    read_events(
        columns.source,
        records.starts,
        _sound_ends(records),
        *program,
        columns.at_ms,
        columns.numbers,
        inexact,
        columns.codes,
        columns.texts,
    )
    for position, column in np.argwhere(inexact[:, :, 1]).tolist():
        start, end = inexact[position, column].tolist()
        number = float(columns.source[start:end].tobytes())
        columns.numbers[position, column] = number
        if number > NUMBER_LIMITS[column]:
            columns.at_ms[position] = GIVEN_UP
    return _completed(columns)


def _from_avro(records: RecordBlock) -> EventColumns:
    columns = _empty(len(records), records.source, lambda position: _decode_avro(records.payload(position)))
    program = telemetry_program()
    read_avro_events(
        columns.source,
        records.starts,
        _sound_ends(records),
        program.fields,
        program.limits,
        program.names,
        program.choices,
        columns.at_ms,
        columns.numbers,
        columns.codes,
        columns.texts,
    )
    return _completed(columns)


def _sound_ends(records: RecordBlock) -> Integers:
    """Return the ends of records; what is too large is not even looked at: of no length, it is given up."""
    return np.where(records.ends - records.starts <= EVENT_BYTES_MAX, records.ends, records.starts)


def _completed(columns: EventColumns) -> EventColumns:
    """Fill in what the kernel gave up."""
    # A metric may lack its name, which the kernel does not look for; heartbeats are few.
    columns.at_ms[columns.codes[:, EVENT_TYPE] == _METRIC] = GIVEN_UP
    given_up = np.flatnonzero(columns.at_ms == GIVEN_UP).tolist()
    if given_up:
        _decode(columns, given_up)
    return columns


def _decode_avro(payload: bytes) -> tuple[TelemetryEvent, int]:
    event = decode_event_avro(payload)
    return event, to_at_ms(event.timestamp)


def _empty(count: int, source: Octets, decode: Callable[[int], tuple[TelemetryEvent, int]]) -> EventColumns:
    return EventColumns(
        at_ms=np.full(count, GIVEN_UP),
        numbers=np.full((count, len(NUMBERS)), np.nan),
        codes=np.full((count, len(CODES)), -1),
        source=source,
        texts=np.zeros((count, len(TEXTS), 2), dtype=np.int64),
        decode=decode,
        decoded={},
        refused={},
    )


def _decode(columns: EventColumns, positions: Sequence[int]) -> None:
    """Fill the rows of records that have to be decoded one by one."""
    decoded = columns.decoded
    for position in positions:
        try:
            decoded[position], columns.at_ms[position] = columns.decode(position)
        except DecodeError as error:
            columns.at_ms[position] = GIVEN_UP
            columns.refused[position] = error
    if not decoded:
        return
    events, accepted = decoded.values(), list(decoded)
    data = [event.data for event in events]
    rows = [(each.latency_ms, each.ttft_ms, each.prompt_tokens, each.completion_tokens, each.cost) for each in data]
    columns.numbers[accepted] = np.array(rows, dtype=np.float64)
    columns.codes[accepted, EVENT_TYPE] = [_TYPE_NUMBERS[event.event_type] for event in events]
    columns.codes[accepted, STATUS] = [_STATUS_NUMBERS[each.status] for each in data]
    for column in (PROVIDER, MODEL, TENANT, APPLICATION, USER):
        texts = [(text or "").encode() for text in map(_TEXTS[column], events)]
        first = len(columns.source)
        columns.source = np.concatenate([columns.source, np.frombuffer(b"".join(texts), dtype=np.uint8)])
        ends = np.fromiter(accumulate(map(len, texts)), dtype=np.int64, count=len(texts)) + first
        columns.texts[accepted, column, 0] = np.concatenate([[first], ends[:-1]])
        columns.texts[accepted, column, 1] = ends


_TEXTS: Final[tuple[Callable[[TelemetryEvent], str | None], ...]] = (
    lambda event: event.data.provider,
    lambda event: event.data.model,
    lambda event: event.tenant_id,
    lambda event: event.application_id,
    lambda event: event.metadata.user_id if event.metadata is not None else None,
    lambda event: event.data.error_type,
    lambda event: event.data.finish_reason,
    lambda event: event.data.guardrail.verdict if event.data.guardrail is not None else None,
    lambda event: event.event_id,
)
"""How to find the texts of `udfs.telemetry_program.TEXTS` in an event."""
_TYPE_NUMBERS = {each: number for number, each in enumerate(TYPES)}
_STATUS_NUMBERS: dict[Status | None, int] = {None: -1} | {each: number for number, each in enumerate(STATUSES)}
