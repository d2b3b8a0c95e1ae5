"""Mending: values of our own events that are out of range, kept as far as they can be and flagged.

What makes an event what it is (its id, time, type, program, application) has to be right; of the rest, a number beyond
its limit becomes the limit, a negative or infinite one null, and a text too long or with control characters is cut or
cleaned.
"""

import json
from collections.abc import Mapping
from functools import cache
from math import inf
from typing import Any, Final

from msgspec import Struct, inspect

from schemas.fields import alternatives, fields_of
from schemas.telemetry import Data, Guardrail, Metadata, Parameters
from udfs.normalise.events import OUT_OF_RANGE
from udfs.normalise.found import CONTROLS, LABEL_MAX

_PARTS: Final[Mapping[tuple[str, ...], type[Struct]]] = {
    ("data",): Data,
    ("data", "parameters"): Parameters,
    ("data", "guardrail"): Guardrail,
    ("metadata",): Metadata,
}
_INFINITE: Final = 2**63
"""Numbers from here on are told by their first digits: not every reader of JSON could take them."""
_ENVELOPE: Final = ("tenant_id", "correlation_id", "trace_id", "span_id", "schema_version")


def mended(data: bytes) -> bytes | None:
    """Return the event with what was out of range mended and told in `metadata.attributes`, None if nothing was."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    odd = _mend_all(event)
    if not odd:
        return None
    metadata = event.get("metadata") or {}
    if isinstance(metadata, dict) and isinstance(attributes := metadata.get("attributes") or {}, dict):
        event["metadata"] = metadata | {"attributes": attributes | {OUT_OF_RANGE: odd}}
    return json.dumps(event).encode()


def _mend_all(event: dict[str, Any]) -> dict[str, Any]:
    """Mend an event in place, and return what was out of range by where it was."""
    odd: dict[str, Any] = {}
    for path, kind in _PARTS.items():
        part: Any = event
        for name in path:
            part = part.get(name) if isinstance(part, dict) else None
        if isinstance(part, dict):
            _mend(part, ".".join(path) + ".", kind, odd)
    for name in _ENVELOPE:
        _mend_label(event, name, name, odd)
    source = event.get("source")
    if isinstance(source, dict):
        for name in ("host", "version"):
            _mend_label(source, name, f"source.{name}", odd)
    return odd


def _mend(part: dict[str, Any], path: str, kind: type[Struct], odd: dict[str, Any]) -> None:
    highest = _limits(kind)
    for name, value in part.items():
        if isinstance(value, str):
            if name in _texts(kind):
                _mend_label(part, name, path + name, odd)
        elif isinstance(value, int | float) and not isinstance(value, bool) and name in highest:
            limit = highest[name]
            is_finite = abs(value) < _INFINITE
            if is_finite and (limit is None or 0 <= value <= limit):
                continue
            odd[path + name] = value if is_finite else str(value)[:32]
            part[name] = limit if limit is not None and value > 0 and value != inf else None


def _mend_label(part: dict[str, Any], name: str, path: str, odd: dict[str, Any]) -> None:
    value = part.get(name)
    if isinstance(value, str) and (len(value) > LABEL_MAX or not value.isprintable()):
        fitting = value.translate(CONTROLS)[:LABEL_MAX]
        if fitting != value:
            part[name], odd[path] = fitting, "cut or cleaned"


@cache
def _limits(kind: type[Struct]) -> Mapping[str, int | float | None]:
    """Return the fields that hold a number, and the most that each may be if anything."""
    return {
        field.name: part.le
        for field in fields_of(kind)
        for part in alternatives(field.type)
        if isinstance(part, inspect.IntType | inspect.FloatType)
    }


@cache
def _texts(kind: type[Struct]) -> frozenset[str]:
    return frozenset(
        field.name
        for field in fields_of(kind)
        for part in alternatives(field.type)
        if isinstance(part, inspect.StrType) and part.max_length is not None
    )
