"""Reading: the value of an attribute in our unit and form.

A reading is given an OTLP value and returns what the field holds, or None for a value that says nothing (an empty
text) or cannot be what the field means (a word where a count belongs). A reading of several fields returns them by
their names.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from schemas.time import to_at_ms
from udfs.normalise.mapping import providers
from udfs.normalise.messages import said

Reading = Callable[[AnyValue], Any]

_PROVIDERS: Final = providers()


def plain(value: AnyValue) -> Any:
    """Return an OTLP value as the JSON value it stands for; bytes as how many there are."""
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
    text = value.string_value
    if not text:
        several = value.array_value.values
        if several and (text := several[0].string_value):
            return text
        return next((each for item in several if (each := label(item))), None)
    if not text.startswith("["):
        return text
    parsed = _json(text)
    if not isinstance(parsed, list):
        return text
    return next((each for each in parsed if isinstance(each, str) and each), None)


def number(value: AnyValue) -> float | None:
    """Return a finite number, also one written as text."""
    found = value.double_value
    if not found:
        kind = value.WhichOneof("value")
        if kind == "int_value":
            return float(value.int_value)
        if kind == "string_value":
            return _number_in(value.string_value)
        if kind != "double_value":
            return None
    return found if isfinite(found) else None


def count(value: AnyValue) -> int | None:
    """Return a whole number, also one written as text or with a point."""
    found = value.int_value
    if found or value.HasField("int_value"):
        return found
    return _whole(number(value))


def seconds(value: AnyValue) -> float | None:
    """Return seconds in milliseconds."""
    found = number(value)
    return None if found is None else round(found * 1_000, 6)


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
    """Return what a prompt or an answer says, out of the structure around it."""
    found = value.string_value
    if found:
        return said(found)
    other = plain(value)
    return said(orjson.dumps(other).decode()) if other else None


def provider(value: AnyValue) -> str | None:
    """Return the name of a provider as OpenTelemetry spells it today."""
    found = value.string_value
    return _PROVIDERS.get(found) or _PROVIDERS.get(found.lower(), found.lower()) or None


def verdict(value: AnyValue) -> str | None:
    """Return the verdict of a guard that answers whether it found something."""
    found = label(value)
    return {"yes": "deny", "true": "deny", "no": "allow", "false": "allow"}.get((found or "").lower(), found)


def instant(value: AnyValue) -> int | None:
    """Return a time in milliseconds since the epoch; some SDKs wrap it in quotes of its own."""
    try:
        return to_at_ms(value.string_value.strip('"'))
    except ValueError:
        return None


def parameters(value: AnyValue) -> dict[str, Any]:
    """Return what is known of the parameters of a request, in JSON."""
    found = _object(value)
    limit = _whole(found.get("max_tokens", found.get("max_completion_tokens", found.get("max_output_tokens"))))
    stream = found.get("stream")
    return {
        "temperature": _finite(found.get("temperature")),
        "top_p": _finite(found.get("top_p")),
        "max_tokens": limit,
        "stream": stream if isinstance(stream, bool) else None,
    }


def usage(value: AnyValue) -> dict[str, Any]:
    """Return the tokens of a call by kind, in JSON as Langfuse writes it."""
    found = {key: _whole(each) for key, each in _object(value).items()}

    def either(*names: str) -> int | None:
        return next((found[name] for name in names if found.get(name) is not None), None)

    return {
        "prompt_tokens": either("input", "prompt_tokens", "input_tokens"),
        "completion_tokens": either("output", "completion_tokens", "output_tokens"),
        "total_tokens": either("total", "total_tokens"),
        "cached_tokens": either("input_cached_tokens", "cache_read_input_tokens", "input_cache_read"),
        "cache_write_tokens": either("cache_creation_input_tokens", "input_cache_creation"),
        "reasoning_tokens": either("output_reasoning_tokens", "output_reasoning"),
        "audio_prompt_tokens": either("input_audio_tokens", "input_audio"),
        "audio_completion_tokens": either("output_audio_tokens", "output_audio"),
    }


def cost_details(value: AnyValue) -> float | None:
    """Return the cost of a call: the total that JSON names, else the sum of the kinds."""
    found = {key: each for key, item in _object(value).items() if (each := _finite(item)) is not None}
    return found["total"] if "total" in found else sum(found.values()) if found else None


def _object(value: AnyValue) -> dict[str, Any]:
    found = _json(value.string_value) if value.string_value else plain(value)
    return found if isinstance(found, dict) else {}


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _number_in(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isfinite(value) and value == int(value) else None


_OF_ONE: Final[tuple[Reading, ...]] = (
    *(label, first, provider, verdict, text),
    *(number, count, seconds, milliseconds, instant, dollars, cost_details, flag),
)
READINGS: Final = {each.__name__: each for each in _OF_ONE}
"""Readings of one field."""
SEVERAL: Final[dict[str, Callable[[AnyValue], dict[str, Any]]]] = {"parameters": parameters, "usage": usage}
"""Readings of several fields."""
