"""Avro codec: records to plain Avro bytes and back, for producers and readers that agreed on the published schema."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from io import BytesIO
from math import isfinite
from typing import Any, BinaryIO, Final, TypeVar

import fastavro
import msgspec
from msgspec import Struct, inspect

from schemas.avro_schema import avro_schema
from schemas.codec import RECORD_BYTES_MAX, check_event
from schemas.dead_letter import RejectReason
from schemas.fields import alternatives, fields_of, is_instant
from schemas.refusal import DecodeError, explain, is_too_deep
from schemas.telemetry import EVENT_BYTES_MAX, NESTING_MAX, TelemetryEvent
from schemas.time import from_at_ms, to_at_ms

Record = TypeVar("Record", bound=Struct)
Convert = Callable[[Any, str], Any]
"""Turns a value, not null, into what stands for it on the other side; takes its path for the refusal."""


def encode_avro(record: Struct) -> bytes:
    """Return a record as Avro bytes, without header or schema id.

    Raises ValueError if a time in it is none.
    """
    target = BytesIO()
    fastavro.schemaless_writer(target, _parsed(type(record)), _to_avro(type(record))(record, ""))
    return target.getvalue()


def write_avro_file(file: BinaryIO, records: Iterable[bytes], kind: type[Struct]) -> None:
    """Write records, as `encode_avro` returns them, to a container file."""
    schema = _parsed(kind)
    fastavro.writer(file, schema, (fastavro.schemaless_reader(BytesIO(each), schema, None) for each in records))


def read_avro_file(file: BinaryIO, kind: type[Struct]) -> Iterator[bytes]:
    """Yield the records of a container file as `encode_avro` returns them, whatever version of the schema wrote it.

    What fastavro raises if the file is none of the kind, or damaged, is of no particular type.
    """
    schema = _parsed(kind)
    for loose in fastavro.reader(file, schema):
        target = BytesIO()
        fastavro.schemaless_writer(target, schema, loose)
        yield target.getvalue()


def decode_event_avro(data: bytes | None) -> TelemetryEvent:
    """Return the event that Avro bytes hold, with `timestamp` as text, acceptable in every respect.

    Raises DecodeError, and nothing else, for every other input.
    """
    event = _decode(data, TelemetryEvent, EVENT_BYTES_MAX)
    check_event(event)
    return event


def decode_record_avro(data: bytes | None, kind: type[Record]) -> Record:
    """Return the record of another topic that Avro bytes hold.

    Raises DecodeError, and nothing else, for every other input.
    """
    return _decode(data, kind, RECORD_BYTES_MAX)


def _decode(data: bytes | None, kind: type[Record], bytes_max: int) -> Record:
    if not data:
        raise DecodeError(RejectReason.EMPTY, "no bytes")
    if len(data) > bytes_max:
        raise DecodeError(RejectReason.TOO_LARGE, f"{len(data)} bytes, more than {bytes_max}")
    source = BytesIO(data)
    try:
        loose = fastavro.schemaless_reader(source, _parsed(kind), None)
    except Exception as problem:  # noqa: BLE001 - fastavro raises whatever the bytes make it stumble over
        stumbled = type(problem).__name__
        raise DecodeError(RejectReason.NOT_AVRO, f"the bytes do not fit the schema ({stumbled})") from None
    if source.tell() != len(data):
        raise DecodeError(RejectReason.NOT_AVRO, f"{len(data) - source.tell()} bytes too many")
    try:
        return msgspec.convert(_from_avro(kind)(loose, ""), kind)
    except msgspec.ValidationError as problem:
        raise explain(problem) from None


@cache
def _parsed(kind: type[Struct]) -> Any:
    return fastavro.parse_schema(avro_schema(kind))


@cache
def _to_avro(kind: type[Struct]) -> Convert:
    """Return the conversion of a struct to the dict that fastavro writes."""
    converts = [(field.name, _conversion(field.type, writing=True)) for field in fields_of(kind)]

    def convert(record: Any, path: str) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for name, change in converts:
            value = getattr(record, name)
            written[name] = value if value is None or change is None else change(value, f"{path}{name}")
        return written

    return convert


@cache
def _from_avro(kind: type[Struct]) -> Convert:
    """Return the conversion of the dict that fastavro reads to one that msgspec takes for the struct."""
    converts = [(field.name, _conversion(field.type, writing=False)) for field in fields_of(kind)]

    def convert(loose: Any, path: str) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, change in converts:
            value = loose[name]
            read[name] = value if value is None or change is None else change(value, f"{path}{name}")
        return read

    return convert


def _conversion(kind: inspect.Type, *, writing: bool) -> Convert | None:
    """Return how values of a type change between struct and Avro, None if they do not."""
    if is_instant(kind):
        return _instant_to_avro if writing else _instant_from_avro
    change: Convert | None = None
    match alternatives(kind)[0]:
        case inspect.StructType(cls=record):
            change = _nested(_to_avro(record) if writing else _from_avro(record))
        case inspect.VarTupleType(item_type=items):
            each = _conversion(items, writing=writing)
            change = each and _each(each)
        case inspect.DictType(value_type=inspect.CustomType()):
            change = _object_to_avro if writing else object_of
        case inspect.DictType(value_type=inspect.FloatType()) if not writing:
            change = _finite_values
        case inspect.FloatType() if not writing:
            change = _finite
        case _:
            pass
    return change


def _nested(change: Convert) -> Convert:
    return lambda record, path: change(record, f"{path}.")


def _each(change: Convert) -> Convert:
    return lambda items, path: [change(item, f"{path}[...]") for item in items]


def _instant_to_avro(text: str, _: str) -> int:
    return to_at_ms(text)


def _instant_from_avro(at_ms: int, path: str) -> str:
    try:
        return from_at_ms(at_ms)
    except ValueError:
        raise DecodeError(RejectReason.OUT_OF_RANGE, f"{path}: outside the years 1 to 9999") from None


def _object_to_avro(content: dict[str, object], _: str) -> str:
    return msgspec.json.encode(content).decode()


def object_of(text: str, path: str) -> dict[str, object]:
    """Return the object that a JSON text holds; raises DecodeError, naming the path, if it holds none."""
    raw = text.encode()
    if is_too_deep(raw, NESTING_MAX):
        raise DecodeError(RejectReason.TOO_DEEP, f"{path}: nested deeper than {NESTING_MAX} levels")
    try:
        return _objects.decode(raw)
    except msgspec.DecodeError:
        raise DecodeError(RejectReason.WRONG_TYPE, f"{path}: not a JSON object") from None


def _finite(number: float, path: str) -> float:
    if not isfinite(number):
        raise DecodeError(RejectReason.OUT_OF_RANGE, f"{path}: not a finite number")
    return number


def _finite_values(numbers: dict[str, float], path: str) -> dict[str, float]:
    return {name: _finite(number, f"{path}[...]") for name, number in numbers.items()}


_objects: Final = msgspec.json.Decoder(dict[str, object])
