"""Reading: the value of an attribute in our unit and form.

A reading is given an OTLP value and returns what the field holds, or None for a value that says nothing (an empty
text) or cannot be what the field means (a word where a count belongs).
"""

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

Reading = Callable[[AnyValue], Any]


def plain(value: AnyValue) -> Any:
    """Return an OTLP value as the JSON value it stands for; bytes as their number in words."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {each.key: plain(each.value) for each in value.kvlist_value.values}
    if kind == "bytes_value":
        return f"{len(value.bytes_value)} bytes"
    return getattr(value, kind)


def label(value: AnyValue) -> str | None:
    """Return a short text; numbers and truth values become theirs."""
    text = value.string_value
    if text:
        return text
    other = plain(value)
    if isinstance(other, bool):
        return "true" if other else "false"
    return str(other) if isinstance(other, int | float) else None


def first(value: AnyValue) -> str | None:
    """Return the first of several texts, in an array or in a JSON array, or the only one."""
    if value.HasField("array_value"):
        return next((text for each in value.array_value.values if (text := label(each))), None)
    text = value.string_value
    if text.startswith("["):
        try:
            several = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        return next((each for each in several if isinstance(each, str) and each), None)
    return text or None


def number(value: AnyValue) -> float | None:
    """Return a finite number, also one written as text."""
    kind = value.WhichOneof("value")
    if kind in {"int_value", "double_value"}:
        found = float(getattr(value, kind))
    elif kind == "string_value":
        try:
            found = float(value.string_value)
        except ValueError:
            return None
    else:
        return None
    return found if isfinite(found) else None


def count(value: AnyValue) -> int | None:
    """Return a whole number, also one written as text or with a point."""
    found = value.int_value
    if found:
        return found
    if value.HasField("int_value"):
        return 0
    other = number(value)
    return None if other is None or not other.is_integer() else int(other)


def seconds(value: AnyValue) -> float | None:
    """Return seconds in milliseconds."""
    found = number(value)
    return None if found is None else found * 1_000


def milliseconds(value: AnyValue) -> float | None:
    """Return milliseconds."""
    return number(value)


def dollars(value: AnyValue) -> float | None:
    """Return US dollars."""
    return number(value)


def flag(value: AnyValue) -> bool | None:
    """Return a truth value, also one written as text."""
    if value.HasField("bool_value"):
        return value.bool_value
    return {"true": True, "false": False}.get(value.string_value.lower())


def text(value: AnyValue) -> str | None:
    """Return a prompt or an answer: a text as it is, anything structured as JSON."""
    found = value.string_value
    if found:
        return found
    other = plain(value)
    return orjson.dumps(other, default=str).decode() if other else None


def provider(value: AnyValue) -> str | None:
    """Return the name of a provider as today's conventions spell it."""
    found = value.string_value.lower()
    return PROVIDERS.get(found, found) or None


PROVIDERS: Final = {
    "xai": "x_ai",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
}

READINGS: Final[dict[str, Reading]] = {
    each.__name__: each for each in (label, first, number, count, seconds, milliseconds, dollars, flag, text, provider)
}
