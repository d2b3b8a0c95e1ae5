"""Telemetry records as a topic holds them, JSON or Avro: prepared a batch at a time, decoded one by one."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from schemas.avro import decode_event_avro, object_of
from schemas.codec import check_event, decode_timed_event
from schemas.refusal import DecodeError
from schemas.telemetry import EVENT_BYTES_MAX, EventType, TelemetryEvent
from schemas.time import to_at_ms
from udfs.avro_kernel import to_msgpack
from udfs.avro_program import AT_MS, CONTROLS, ENDS, OBJECTS, telemetry_program

TelemetryFormat = Literal["json", "avro"]
"""How the records of a telemetry topic are written."""

AvroRecord = tuple[bytes | None, bytes, int, tuple[tuple[tuple[str, ...], bytes], ...] | None]
"""One record of an Avro topic: its bytes; the same as MessagePack without fields of objects; its time in ms, -1 if the
kernel gave it up; None, or what else has to be done with it: paths and JSON texts of the fields of objects."""

_CHUNK: Final = 256
"""Records that are transcoded at once, so that what is made of them stays in the cache."""
_msgpack: Final = msgspec.msgpack.Decoder(TelemetryEvent)


def prepare(
    payloads: Sequence[bytes | None], telemetry_format: TelemetryFormat
) -> tuple[Sequence[Any], Callable[[Any], tuple[TelemetryEvent, int]]]:
    """Return records, as many as payloads, and the function that makes an event and its time in ms of each.

    The function raises DecodeError, and nothing else, for a record that cannot be accepted.
    """
    if telemetry_format == "json":
        return payloads, decode_timed_event
    chunks = (payloads[start : start + _CHUNK] for start in range(0, len(payloads), _CHUNK))
    return [record for chunk in chunks for record in avro_records(chunk)], decode_avro_record


def avro_records(payloads: Sequence[bytes | None]) -> Iterator[AvroRecord]:
    """Return what the kernel makes of some payloads."""
    program = telemetry_program()
    # What is too large is not even looked at.
    sound = [payload if payload and len(payload) <= EVENT_BYTES_MAX else b"" for payload in payloads]
    source = b"".join(sound)
    edges = np.array([0, *accumulate(map(len, sound))], dtype=np.int64)
    target = np.empty(2 * len(source) + program.overhead * len(sound), dtype=np.uint8)
    told = np.empty((len(sound), OBJECTS + 2 * len(program.objects)), dtype=np.int64)
    to_msgpack(np.frombuffer(source, dtype=np.uint8), edges, program.rows, program.names, target, told)
    ends = told[:, ENDS].tolist()
    packed = target[: ends[-1]].tobytes()
    parts = [packed[start:end] for start, end in pairwise([0, *ends])]
    rest: list[tuple[tuple[tuple[str, ...], bytes], ...] | None] = [None] * len(sound)
    for number in np.flatnonzero(told[:, CONTROLS:].any(axis=1)).tolist():
        places = told[number, OBJECTS:].reshape(-1, 2).tolist()
        found = zip(program.objects, places, strict=True)
        rest[number] = tuple((path, source[start:end]) for path, (start, end) in found if start)
    return zip(payloads, parts, told[:, AT_MS].tolist(), rest, strict=True)


def decode_avro_record(record: AvroRecord) -> tuple[TelemetryEvent, int]:
    """Return the event that an Avro record holds, and its time in milliseconds since the epoch.

    Raises DecodeError, and nothing else, for every other input; which one, `schemas.avro` says.
    """
    payload, packed, at_ms, rest = record
    if at_ms >= 0:
        try:
            event = _msgpack.decode(packed)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        else:
            if rest is None and event.event_type is not EventType.METRIC:
                return event, at_ms
            try:
                for path, text in rest or ():
                    event = _with_object(event, path, object_of(text.decode(), ".".join(path)))
            except (UnicodeDecodeError, DecodeError):
                pass
            else:
                return event, check_event(event)
    event = decode_event_avro(payload)
    return event, to_at_ms(event.timestamp)


def _with_object(record: Any, path: tuple[str, ...], content: dict[str, object]) -> Any:
    name, *deeper = path
    value = _with_object(getattr(record, name), tuple(deeper), content) if deeper else content
    return replace(record, **{name: value})
