"""Messages: what was said, taken out of the structures that instrumentations put around it."""

from collections.abc import Iterable
from typing import Any, Final

import orjson

_SPOKEN: Final = frozenset({"content", "text", "arguments", "result", "response", "refusal", "thinking", "input"})
"""Keys of what was said, in the messages of OpenTelemetry, OpenAI, Anthropic and what others made of them."""
_SEGMENTS: Final = _SPOKEN | {"arguments_json", "tool_call.function.arguments", "function_call_arguments_json"}
_LONGEST_NUMBER: Final = 9


def said(text: str) -> str:
    """Return what JSON of messages says, one thing a line; any other text as it is."""
    if text[:1] not in {"[", "{"}:
        return text
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return "\n".join(_spoken(parsed)) or text


def said_in_parts(parts: Iterable[tuple[str, str]]) -> str:
    """Return what messages say that were flattened into attributes, in the order of their numbers."""
    ordered = sorted(parts, key=lambda part: _by_numbers(part[0]))
    return "\n".join(text for key, text in ordered if key.rpartition(".")[2] in _SEGMENTS)


def _spoken(parsed: Any) -> list[str]:
    """Return the texts under keys of what was said; a stack of its own, since JSON may nest deeper than calls."""
    found: list[str] = []
    stack: list[tuple[Any, bool]] = [(parsed, False)]
    while stack:
        value, is_spoken = stack.pop()
        if isinstance(value, str):
            if is_spoken and value:
                found.append(value)
        elif isinstance(value, list):
            stack.extend((each, True) for each in reversed(value))
        elif isinstance(value, dict):
            stack.extend((each, key in _SPOKEN) for key, each in reversed(value.items()))
    return found


def _by_numbers(key: str) -> list[tuple[int, str]]:
    return [
        (int(each), "") if each.isdecimal() and len(each) <= _LONGEST_NUMBER else (0, each) for each in key.split(".")
    ]
