"""Avro schemas, generated from the same structs as the JSON Schemas, so that no field can be in one and not the other.

Records mirror the JSON. Instants are long milliseconds since the epoch, enumerations are strings, objects of any
content are JSON texts, what may be null is a union with null first. Only types that Flink's `avro` format derives from
SQL columns occur, because that format reads plain Avro bytes by the schema of its columns.
"""

import json
from typing import Any, Final, cast

from msgspec import Struct, inspect

from schemas.anomaly import Anomaly
from schemas.fields import alternatives, fields_of, is_instant, is_nullable
from schemas.incident import Incident
from schemas.telemetry import TelemetryEvent

PUBLISHED_AVRO: Final[dict[str, type[Struct]]] = {
    "telemetry": TelemetryEvent,
    "anomaly": Anomaly,
    "incident": Incident,
}
"""The records that have an Avro schema, by the name of their file."""

NAMESPACE: Final = "llm.sentinel.v1"
_SCALARS: Final[dict[type[inspect.Type], str]] = {
    inspect.StrType: "string",
    inspect.EnumType: "string",
    inspect.IntType: "long",
    inspect.FloatType: "double",
    inspect.BoolType: "boolean",
}
_SQL: Final = {"string": "STRING", "long": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN"}


def avro_schema(kind: type[Struct]) -> dict[str, Any]:
    """Return the Avro schema of a struct."""
    record = _record(kind, set())
    return {"type": "record", "name": record["name"], "namespace": NAMESPACE, "fields": record["fields"]}


def avro_schema_file(name: str) -> str:
    """Return the text of `published/<name>.avsc`; raises KeyError for a name that is not published."""
    return json.dumps(avro_schema(PUBLISHED_AVRO[name]), indent=2) + "\n"


def flink_telemetry_schema() -> dict[str, Any]:
    """Return the telemetry schema as Flink derives it from `flink_telemetry_columns`: the same bytes, other names."""
    return cast("dict[str, Any]", _named_by_path(avro_schema(TelemetryEvent), "record"))


def flink_telemetry_columns() -> str:
    """Return the columns of a Flink table whose `avro` format reads telemetry: all, in the order of the bytes."""
    fields = avro_schema(TelemetryEvent)["fields"]
    return ",\n".join(f"`{field['name']}` {_sql(field['type'])}" for field in fields)


def _record(kind: type[Struct], known: set[str]) -> dict[str, Any]:
    known.add(kind.__name__)
    return {"type": "record", "name": kind.__name__, "fields": [_field(field, known) for field in fields_of(kind)]}


def _field(field: inspect.Field, known: set[str]) -> dict[str, Any]:
    plain = "long" if is_instant(field.type) else _plain(alternatives(field.type)[0], known)
    if is_nullable(field.type):
        return {"name": field.name, "type": ["null", plain], "default": None}
    written = {"name": field.name, "type": plain}
    if isinstance(field.default, str):
        written["default"] = str(field.default)
    return written


def _plain(kind: inspect.Type, known: set[str]) -> Any:
    """Return the Avro type of a value that is not null."""
    if type(kind) in _SCALARS:
        return _SCALARS[type(kind)]
    match kind:
        case inspect.StructType(cls=record):
            return record.__name__ if record.__name__ in known else _record(record, known)
        case inspect.DictType(value_type=inspect.CustomType()):
            return "string"
        case inspect.DictType(value_type=values):
            return {"type": "map", "values": _plain(values, known)}
        case inspect.VarTupleType(item_type=items):
            return {"type": "array", "items": _plain(items, known)}
    raise NotImplementedError(f"{kind} has no Avro type")


def _named_by_path(schema: Any, path: str) -> Any:
    """Return a schema with every record named by where it stands, as Flink names them."""
    if isinstance(schema, list):
        return [_named_by_path(part, path) for part in schema]
    if not isinstance(schema, dict) or schema["type"] != "record":
        return schema
    fields = [{**field, "type": _named_by_path(field["type"], f"{path}_{field['name']}")} for field in schema["fields"]]
    named = {"type": "record", "name": path, "fields": fields}
    return named | {"namespace": "org.apache.flink.avro.generated"} if path == "record" else named


def _sql(kind: Any) -> str:
    """Return the SQL type of an Avro type; it says whether null is allowed."""
    if isinstance(kind, list):
        return _sql(kind[1]).removesuffix(" NOT NULL")
    if isinstance(kind, str):
        return f"{_SQL[kind]} NOT NULL"
    if kind["type"] == "map":
        return f"MAP<STRING NOT NULL, {_sql(kind['values'])}> NOT NULL"
    columns = ", ".join(f"`{field['name']}` {_sql(field['type'])}" for field in kind["fields"])
    return f"ROW<{columns}> NOT NULL"
