"""What columns of records say, in a form to compare: by position, and of the event that a codec reads."""

import numpy as np

from schemas.refusal import DecodeError
from schemas.telemetry import TelemetryEvent
from schemas.time import to_at_ms
from udfs.event_columns import STATUSES, TYPES, EventColumns
from udfs.json_kernel import GIVEN_UP
from udfs.telemetry_program import EVENT_TYPE, NUMBERS, STATUS, TEXTS


def told(columns: EventColumns, position: int) -> dict[str, object]:
    """Return what the columns say of one record: what is read from it, or why it is refused."""
    if position in columns.refused:
        assert columns.at_ms[position] == GIVEN_UP
        return of_refusal(columns.refused[position])
    status = int(columns.codes[position, STATUS])
    return {
        "at_ms": columns.at_ms[position],
        "numbers": [None if np.isnan(each) else each for each in columns.numbers[position].tolist()],
        "texts": [columns.text(position, column) for column in range(len(TEXTS))],
        "type": TYPES[columns.codes[position, EVENT_TYPE]],
        "status": STATUSES[status] if status >= 0 else None,
        "event": columns.event(position),
    }


def of_event(event: TelemetryEvent) -> dict[str, object]:
    """Return the same of an event."""
    return {
        "at_ms": to_at_ms(event.timestamp),
        "numbers": [_at(event, path) for path in NUMBERS],
        "texts": [_at(event, path) for path in TEXTS],
        "type": event.event_type,
        "status": event.data.status,
        "event": event,
    }


def of_refusal(error: DecodeError) -> dict[str, object]:
    """Return the same of a record that is refused."""
    return {"refused": (error.reason, error.detail)}


def _at(record: object, path: tuple[str, ...]) -> object:
    """Return a field; None if it or what it is in is missing."""
    for name in path:
        record = getattr(record, name) if record is not None else None
    return record
