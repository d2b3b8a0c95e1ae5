"""JSON Schema 2020-12 of every published record, generated from the structs; `published/` holds the files."""

import json
from inspect import cleandoc
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from schemas.action import Action
from schemas.alert import AlertDefinition
from schemas.alert_change import AlertChange
from schemas.anomaly import Anomaly
from schemas.dead_letter import DeadLetter
from schemas.feedback import Feedback
from schemas.incident import Incident
from schemas.model import PublishedModel
from schemas.rule import Rule
from schemas.summary import Summary
from schemas.telemetry import EventType, TelemetryEvent

PUBLISHED: Final[dict[str, type[Struct]]] = {
    "telemetry": TelemetryEvent,
    "anomaly": Anomaly,
    "incident": Incident,
    "metrics-aggregation": Summary,
    "dead-letter": DeadLetter,
    "alert-definition": AlertDefinition,
    "rule": Rule,
    "published-model": PublishedModel,
    "feedback": Feedback,
    "alert-change": AlertChange,
    "action": Action,
}
"""The published schemas by name; a name is permanent."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# What `schemas.codec.check_event` adds to the types: a metric has a name.
_METRIC_HAS_NAME: Final = {
    "if": {"properties": {"event_type": {"const": EventType.METRIC.value}}, "required": ["event_type"]},
    "then": {
        "properties": {
            "data": {"properties": {"metric_name": {"type": "string", "minLength": 1}}, "required": ["metric_name"]}
        }
    },
}


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a published record; raises KeyError for a name that is not published."""
    kind = PUBLISHED[name]
    schema = schema_of(kind, name)
    if kind is not TelemetryEvent:
        return schema
    parts = schema.pop("$defs")
    return schema | _METRIC_HAS_NAME | {"$defs": parts}


def schema_of(kind: type[Struct], name: str, **types: Any) -> dict[str, Any]:
    """Return the JSON Schema of a struct under its published name.

    `types` say of fields, wherever they are, of which types the items of their lists really are: a field may be
    declared wider than what is accepted from outside.
    """
    (reference, *items), parts = msgspec.json.schema_components(
        [kind, *types.values()], schema_hook=_anything, ref_template="#/$defs/{name}"
    )
    root = parts.pop(reference["$ref"].rsplit("/", 1)[-1])
    for field, schema in zip(types, items, strict=True):
        for part in (root, *parts.values()):
            if field in part.get("properties", {}):
                # What is in force without a list is said in words, where the field is described.
                part["properties"][field] = {"type": "array", "items": schema}
    whole = {"$schema": _DIALECT, "$id": f"urn:llm-sentinel:schema:{name}:1.0", **root, "$defs": parts}
    return cast("dict[str, Any]", _with_clean_texts(whole))


def schema_text(schema: dict[str, Any]) -> str:
    """Return a schema as the text of its published file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _anything(kind: type) -> dict[str, Any]:
    """Return the schema of a value that may be anything JSON can say."""
    if kind is object:
        return {"description": "Any JSON value."}
    msg = f"{kind.__name__} has no JSON Schema"
    raise NotImplementedError(msg)


def _with_clean_texts(schema: Any) -> Any:
    """Return a schema whose descriptions lost the indentation they have in the source."""
    if isinstance(schema, list):
        return [_with_clean_texts(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: cleandoc(part) if name == "description" and isinstance(part, str) else _with_clean_texts(part)
        for name, part in schema.items()
    }
