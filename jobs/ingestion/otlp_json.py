"""OTLP in JSON: the mapping of protocol buffers, with ids in hexadecimal where that has base64."""

import base64
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message

from schemas.refusal import is_too_deep

NESTING_MAX: Final = 100
"""Levels that a message may have, as in the binary form."""
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})

Kind = TypeVar("Kind", bound=Message)


def message_of_json(body: bytes, kind: type[Kind]) -> Kind:
    """Return the message that JSON bytes hold; unknown fields are ignored. Raises ValueError for all that is none."""
    if is_too_deep(body, NESTING_MAX):
        raise ValueError(f"nested deeper than {NESTING_MAX} levels")
    document = msgspec.json.decode(body)
    if not isinstance(document, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - one kind of error for whatever was sent
    _as_base64(document)
    message = kind()
    try:
        json_format.ParseDict(document, message, ignore_unknown_fields=True, max_recursion_depth=2 * NESTING_MAX)
    except (json_format.ParseError, AttributeError, TypeError) as problem:
        # The text of the error may quote what was sent, of which the first words name the field.
        raise ValueError(str(problem).partition(":")[0]) from None
    return message


def _as_base64(node: Any) -> None:
    """Write ids, in place, as the mapping of protocol buffers expects them."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _IDS and isinstance(value, str):
                try:
                    node[key] = base64.b64encode(bytes.fromhex(value)).decode()
                except ValueError:
                    raise ValueError(f"{key}: not hexadecimal") from None
            elif isinstance(value, dict | list):
                _as_base64(value)
    elif isinstance(node, list):
        for each in node:
            if isinstance(each, dict | list):
                _as_base64(each)
