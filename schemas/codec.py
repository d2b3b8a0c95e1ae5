"""Codecs: bytes to records and back, with one reason from a closed set for everything that is refused."""

import re
from functools import cache
from typing import Any, Final, NoReturn, TypeVar, cast

import msgspec
from msgspec import Struct

from schemas.dead_letter import RejectReason
from schemas.fields import counts, labels, structs
from schemas.refusal import DecodeError, explain, is_too_deep
from schemas.telemetry import (
    EARLIEST_AT_MS,
    EVENT_BYTES_MAX,
    LATEST_AT_MS,
    NESTING_MAX,
    Data,
    EventType,
    Parameters,
    TelemetryEvent,
)
from schemas.time import to_at_ms

RECORD_BYTES_MAX: Final = 16_777_216
"""Bytes of the largest record of any other topic: a dead letter holds an event in base64, a model its arrays."""

Record = TypeVar("Record", bound=Struct)

_BOM: Final = b"\xef\xbb\xbf"
_CONTROL_ESCAPE: Final = re.compile(rb"\\(?:[bfnrt]|u00[01])")
_CONTROLS: Final = frozenset(map(chr, range(0x20)))
_encoder: Final = msgspec.json.Encoder()
_event_decoder: Final = msgspec.json.Decoder(TelemetryEvent)


def encode(record: Struct) -> bytes:
    """Return a record as one line of JSON; numbers that are not finite become null."""
    return _encoder.encode(record)


def decode_event(data: bytes | None) -> TelemetryEvent:
    """Return the event that JSON bytes hold, acceptable in every respect of `docs/contracts.md`.

    Raises DecodeError, and nothing else, for every other input.
    """
    return decode_timed_event(data)[0]


def decode_timed_event(data: bytes | None) -> tuple[TelemetryEvent, int]:
    """Return the event that JSON bytes hold, and its time in milliseconds since the epoch.

    Raises DecodeError as `decode_event` does. Two to three microseconds for a call without texts.
    """
    # What is plain ASCII with few brackets, as almost everything is, has nothing in it that `_plain` would look for.
    is_simple = data and data.isascii() and data.count(b"{") + data.count(b"[") <= NESTING_MAX
    text = data if data and is_simple and len(data) <= EVENT_BYTES_MAX else _plain(data, EVENT_BYTES_MAX)
    try:
        event = _event_decoder.decode(text)
    except msgspec.ValidationError as problem:
        event = _with_whole_numbers(text, problem)
    except msgspec.DecodeError as problem:
        raise _not_json(problem) from None
    # JSON can hold control characters only behind a backslash.
    may_hold_controls = b"\\" in text and _CONTROL_ESCAPE.search(text) is not None
    return event, check_event(event, may_hold_controls=may_hold_controls)


def decode_record(data: bytes | None, kind: type[Record]) -> Record:
    """Return the record of another topic that JSON bytes hold.

    Raises DecodeError, and nothing else, for every other input.
    """
    text = _plain(data, RECORD_BYTES_MAX)
    try:
        return cast("Record", _decoder(kind).decode(text))
    except msgspec.ValidationError as problem:
        _refuse(text, problem)
    except msgspec.DecodeError as problem:
        raise _not_json(problem) from None


def check_event(event: TelemetryEvent, *, may_hold_controls: bool = True) -> int:
    """Return the time of an event in milliseconds since the epoch.

    Raises DecodeError unless the event meets what types and limits do not say: its time, its metric, its texts.
    """
    try:
        at_ms = to_at_ms(event.timestamp)
    except ValueError:
        raise DecodeError(RejectReason.OUT_OF_RANGE, "timestamp: not an RFC 3339 time with an offset") from None
    if not EARLIEST_AT_MS <= at_ms < LATEST_AT_MS:
        raise DecodeError(RejectReason.OUT_OF_RANGE, "timestamp: outside the years 2000 to 2099")
    if event.event_type is EventType.METRIC and not event.data.metric_name:
        raise DecodeError(RejectReason.MISSING_FIELD, "data.metric_name: required by llm.metric, but missing")
    if may_hold_controls and (field := _controlled_label(event, "")):
        raise DecodeError(RejectReason.OUT_OF_RANGE, f"{field}: holds a control character")
    return at_ms


def _plain(data: bytes | None, bytes_max: int) -> bytes:
    """Return the bytes without byte order mark if they are UTF-8, no larger and no deeper than they may be."""
    if not data:
        raise DecodeError(RejectReason.EMPTY, "no bytes")
    if len(data) > bytes_max:
        raise DecodeError(RejectReason.TOO_LARGE, f"{len(data)} bytes, more than {bytes_max}")
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as problem:
            raise DecodeError(RejectReason.NOT_UTF8, f"byte {problem.start} is not UTF-8") from None
        data = data.removeprefix(_BOM)
    if is_too_deep(data, NESTING_MAX):
        raise DecodeError(RejectReason.TOO_DEEP, f"nested deeper than {NESTING_MAX} levels")
    return data


def _not_json(problem: msgspec.DecodeError) -> DecodeError:
    return DecodeError(RejectReason.NOT_JSON, str(problem).removeprefix("JSON is malformed: "))


def _refuse(text: bytes, problem: msgspec.ValidationError) -> NoReturn:
    """Raise the refusal of what is not JSON if there is one, and of the validation error if not.

    The typed decoder stops at whichever comes first; the reason must not depend on that.
    """
    try:
        msgspec.json.decode(text)
    except msgspec.ValidationError:
        pass
    except msgspec.DecodeError as malformed:
        raise _not_json(malformed) from None
    raise explain(problem) from None


def _with_whole_numbers(text: bytes, problem: msgspec.ValidationError) -> TelemetryEvent:
    """Return the event if all that was wrong with it are counts written as `12.0`; JSON knows one kind of number."""
    if "got `float`" not in str(problem):
        _refuse(text, problem)
    try:
        loose = msgspec.json.decode(text)
        if isinstance(loose, dict) and isinstance(facts := loose.get("data"), dict):
            _make_whole(facts, counts(Data))
            _make_whole(facts.get("parameters"), counts(Parameters))
        return msgspec.convert(loose, TelemetryEvent)
    except msgspec.ValidationError as still:
        raise explain(still) from None
    except msgspec.DecodeError as malformed:
        raise _not_json(malformed) from None


def _make_whole(fields: object, names: tuple[str, ...]) -> None:
    if isinstance(fields, dict):
        for name in names:
            value = fields.get(name)
            if isinstance(value, float) and value.is_integer():
                fields[name] = int(value)


def _controlled_label(record: Struct, path: str) -> str | None:
    """Return the path of a label that holds a control character, or None."""
    kind = type(record)
    for name in labels(kind):
        value = getattr(record, name)
        if value is not None and not value.isprintable() and not _CONTROLS.isdisjoint(value):
            return f"{path}{name}"
    for name in structs(kind):
        part = getattr(record, name)
        if part is not None and (found := _controlled_label(part, f"{path}{name}.")):
            return found
    return None


@cache
def _decoder(kind: type[Record]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
