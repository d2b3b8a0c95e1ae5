"""JSON as Go's encoder writes it: fields in their order, keys of maps sorted, `<`, `>` and `&` escaped."""

from json.encoder import encode_basestring
from typing import Any, Final

from msgspec import json

from udfs.templates.go_time import GoDuration, GoTime
from udfs.templates.printing import type_name
from udfs.templates.problem import ValueProblem
from udfs.templates.values import KV, AlertData, Alerts, Data, Pair, Pairs, Strings

_UNSAFE: Final = "<>&\u2028\u2029"
_ESCAPES: Final = str.maketrans({char: f"\\u{ord(char):04x}" for char in _UNSAFE})


def go_json(value: Any) -> str:  # noqa: PLR0911 - a table
    """Return the JSON text of a value; raises ValueProblem for what JSON cannot hold."""
    match value:
        case Data() | AlertData() | Alerts() | KV() | Pairs() | Pair() | Strings():
            # Nothing in them but structures, texts and times: outside of its texts JSON has none of what is escaped.
            return _safe(_PLAIN.encode(value).decode())
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return text_json(value)
        case GoTime():
            return text_json(value.json_text())
        case GoDuration() | int():
            return str(int(value))
        case float():
            return _float_json(value)
        case list() | tuple():
            return f"[{','.join(map(go_json, value))}]"
        case dict():
            return f"{{{','.join(f'{text_json(str(key))}:{go_json(value[key])}' for key in sorted(value))}}}"
    raise ValueProblem(f"cannot write {type_name(value)} as JSON")


def text_json(text: str) -> str:
    """Return a text as JSON."""
    return _safe(encode_basestring(text))


def _safe(text: str) -> str:
    # A search per character is far quicker than one of a regular expression for all of them.
    return text.translate(_ESCAPES) if any(char in text for char in _UNSAFE) else text


def _time(value: GoTime) -> str:
    return value.json_text()


_PLAIN: Final = json.Encoder(order="deterministic", enc_hook=_time)


def _float_json(value: float) -> str:
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124 NaN differs from itself
        raise ValueProblem("NaN and infinity are no JSON")
    if value and not 1e-6 <= abs(value) < 1e21:  # noqa: PLR2004 as Go's encoder has it
        text = repr(value)
        digits, _, power = text.partition("e")
        return f"{digits.removesuffix('.0')}e{int(power):+03d}" if power else text
    return f"{value:f}".rstrip("0").rstrip(".") if value and abs(value) < 1e-4 else repr(value).removesuffix(".0")  # noqa: PLR2004 where repr turns to exponents
