"""Avro program: the telemetry schema as a table that a kernel follows, one row a field in the order of the bytes."""

from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct, inspect
from numpy.typing import NDArray

from schemas.avro_schema import avro_schema
from schemas.fields import alternatives, fields_of, is_instant
from schemas.telemetry import TelemetryEvent
from udfs.kernels import Integers

Octets = NDArray[np.uint8]

TEXT, LONG, DOUBLE, BOOLEAN, INSTANT, OBJECT, MAP, RECORD, END = range(9)
"""Kinds of rows. An object is one in JSON text, a map one of texts; a record has a second row at its end."""
KIND, NULLABLE, NAME_FROM, NAME_TO, BEHIND, COLUMN = range(6)
"""Columns of a row: its kind; 1 if null is allowed; where its name lies in `names`; the row behind a record; where the
place of an object is told."""

ENDS, AT_MS, CONTROLS, OBJECTS = range(4)
"""Columns of what the kernel tells of a record: where its MessagePack ends; its time, -1 if it was given up; 1 if a
text holds a control character; then two for each object: where its text begins and ends in the source, 0 if absent."""

_SCALARS: Final = {"string": TEXT, "long": LONG, "double": DOUBLE, "boolean": BOOLEAN}


class Program(NamedTuple):
    """What the kernel follows to read one kind of record."""

    rows: Integers
    names: Octets
    """Names of fields as MessagePack."""
    objects: tuple[tuple[str, ...], ...]
    """Paths of the fields that hold an object in JSON text, in the order of their columns."""
    overhead: int
    """Bytes that the MessagePack of a record can take beside twice its Avro."""


@cache
def telemetry_program() -> Program:
    """Return the program that reads telemetry events."""
    rows: list[list[int]] = []
    names = bytearray()
    objects: list[tuple[str, ...]] = []

    def add(kind: int, path: tuple[str, ...], *, nullable: bool) -> list[int]:
        start = len(names)
        if path:
            names.extend(msgspec.msgpack.encode(path[-1]))
        rows.append([kind, int(nullable), start, len(names), 0, OBJECTS + 2 * len(objects)])
        return rows[-1]

    def add_record(kind: type[Struct], fields: list[dict[str, Any]], path: tuple[str, ...], *, nullable: bool) -> None:
        row = add(RECORD, path, nullable=nullable)
        for field, written in zip(fields_of(kind), fields, strict=True):
            is_nullable = isinstance(written["type"], list)
            plain = written["type"][1] if is_nullable else written["type"]
            place = (*path, field.name)
            match alternatives(field.type)[0]:
                case inspect.StructType(cls=record):
                    add_record(record, plain["fields"], place, nullable=is_nullable)
                case inspect.DictType() if plain == "string":
                    add(OBJECT, place, nullable=is_nullable)
                    objects.append(place)
                case inspect.DictType() if plain == {"type": "map", "values": "string"}:
                    add(MAP, place, nullable=is_nullable)
                case _:
                    scalar = INSTANT if is_instant(field.type) else _SCALARS[plain]
                    add(scalar, place, nullable=is_nullable)
        add(END, (), nullable=False)
        row[BEHIND] = len(rows)

    add_record(TelemetryEvent, avro_schema(TelemetryEvent)["fields"], (), nullable=False)
    return Program(
        rows=np.array(rows, dtype=np.int64),
        names=np.frombuffer(bytes(names), dtype=np.uint8),
        objects=tuple(objects),
        overhead=len(names) + 32 * len(rows),
    )
