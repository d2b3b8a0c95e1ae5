"""How Go prints values: `%v` of fmt, and the other verbs of printf."""

import re
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields

from udfs.templates.go_time import GoDuration, GoNamed, GoTime
from udfs.templates.problem import ValueProblem
from udfs.templates.values import KV, AlertData, Pairs

NO_VALUE: Final = "<no value>"
WIDEST: Final = 10_000
"""Largest width or precision of a verb."""
_VERB: Final = re.compile(r"%([-+# 0]*)(?:\[(\d+)\])?(\*|\d+)?(?:\.(?:\[(\d+)\])?(\*|\d*))?(?:\[(\d+)\])?([^\W\d_]|%)")
_LEAST_POWER: Final = -4
_MOST_DIGITS: Final = 6


class SafeHtml(str):
    """HTML that is written as it is."""

    __slots__ = ()


class SafeUrl(str):
    """A URL whose scheme is not questioned."""

    __slots__ = ()


def type_name(value: Any) -> str:
    """Return the name of a value's type, for messages and `%T`."""
    for kind, name in (
        (type(None), "<nil>"),
        (bool, "bool"),
        (SafeHtml, "template.HTML"),
        (SafeUrl, "template.URL"),
        (str, "string"),
        (GoDuration, "time.Duration"),
        (GoNamed, "int"),
        (int, "int"),
        (float, "float64"),
        (GoTime, "time.Time"),
        (KV, "template.KV"),
        (Pairs, "template.Pairs"),
        (dict, "map[string]interface {}"),
    ):
        if isinstance(value, kind):
            return name
    if isinstance(value, list):
        return "[]string" if value and all(isinstance(each, str) for each in value) else "[]interface {}"
    return "template.Alert" if isinstance(value, AlertData) else f"template.{type(value).__name__}"


def written(value: Any) -> str:
    """Return what an action writes of a value."""
    return NO_VALUE if value is None else text_of(value)


def text_of(value: Any) -> str:  # noqa: C901, PLR0911 - a table
    """Return a value as `%v` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str():
            return str(value)
        case GoDuration() | GoTime():
            return value.text()
        case GoNamed():
            return value.name
        case int():
            return str(int(value))
        case float():
            return float_text(value)
        case KV() | Pairs():
            return value.String()
        case list():
            return f"[{' '.join(map(text_of, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{text_of(value[key])}' for key in sorted(value))}]"
        case Struct():
            return f"{{{' '.join(text_of(getattr(value, field.name)) for field in fields(value))}}}"
    raise ValueProblem(f"cannot print {type_name(value)}")


def float_text(value: float) -> str:
    """Return a float as `%v` prints it: shortest, with an exponent below -4 and from 6 on."""
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124 NaN differs from itself
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"  # noqa: PLR0124
    digits, _, exponent = f"{value!r}".partition("e")
    power = int(exponent) if exponent else _power(value)
    if value and not _LEAST_POWER <= power < _MOST_DIGITS:
        shortest = f"{value:.16e}"
        for precision in range(17):
            shortest = f"{value:.{precision}e}"
            if float(shortest) == value:
                break
        return shortest
    text = digits if not exponent else f"{value:.{max(0, 17 - power)}f}".rstrip("0").rstrip(".")
    return text.removesuffix(".0")


def _power(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])


def joined(values: Sequence[Any]) -> str:
    """Return values as `print` does: a space between two of which neither is a text."""
    parts: list[str] = []
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            parts.append(" ")
        parts.append(text_of(value))
    return "".join(parts)


def formatted(layout: str, values: Sequence[Any]) -> str:
    """Return what `printf` writes; as in Go a wrong verb is written into the text and is no error."""
    parts: list[str] = []
    at = last = 0
    for found in _VERB.finditer(layout):
        parts.append(_stray(layout[last : found.start()]))
        last = found.end()
        flags, index, width, _, precision, late_index, verb = found.groups()
        if verb == "%":
            parts.append("%")
            continue
        if index or late_index:
            at = int(index or late_index) - 1
        if width == "*" or precision == "*":
            raise ValueProblem("printf: * for a width is not supported")
        if max(int(width or 0), int(precision or 0)) > WIDEST:
            raise ValueProblem(f"printf: a width of more than {WIDEST}")
        if at >= len(values):
            parts.append(f"%!{verb}(MISSING)")
            continue
        parts.append(
            _verb(verb, flags, int(width or 0), None if precision is None else int(precision or 0), values[at])
        )
        at += 1
    parts.append(_stray(layout[last:]))
    if at < len(values) and "[" not in layout:
        extra = ", ".join(f"{type_name(each)}={text_of(each)}" for each in values[at:])
        parts.append(f"%!(EXTRA {extra})")
    return "".join(parts)


def _stray(text: str) -> str:
    return text.replace("%", "%!(NOVERB)") if text.endswith("%") else text


def _verb(verb: str, flags: str, width: int, precision: int | None, value: Any) -> str:  # noqa: PLR0911 - a table
    if verb == "T":
        return _padded(type_name(value), flags, width)
    if verb == "v" or (verb == "s" and not isinstance(value, bool | int | float | type(None))):
        text = text_of(value)
        return _padded(text if precision is None or verb == "v" else text[:precision], flags, width)
    if verb == "s" and isinstance(value, GoDuration | GoNamed):
        return _padded(text_of(value), flags, width)
    if verb == "q" and isinstance(value, str):
        return _padded(quoted(value), flags, width)
    if verb in "xX" and isinstance(value, str):
        digits = value.encode().hex()
        return _padded(digits if verb == "x" else digits.upper(), flags, width)
    if verb == "t" and isinstance(value, bool):
        return _padded(text_of(value), flags, width)
    if verb in "dbxXocU" and isinstance(value, int) and not isinstance(value, bool):
        return _integer(verb, flags, width, int(value))
    if verb in "eEfFgG" and isinstance(value, float):
        if verb in "gG" and precision is None:
            text = float_text(value)
            return _signed(text if verb == "g" else text.upper(), flags, width)
        return _signed(
            f"{value:{'#' if '#' in flags else ''}.{6 if precision is None else precision}{verb}}", flags, width
        )
    return f"%!{verb}({type_name(value)}={text_of(value)})" if value is not None else f"%!{verb}(<nil>)"


def _integer(verb: str, flags: str, width: int, value: int) -> str:
    if verb == "c":
        return _padded(chr(value) if 0 <= value < 0x110000 else "�", flags, width)  # noqa: PLR2004 the last character
    if verb == "U":
        return _padded(f"U+{value:04X}", flags, width)
    return _signed(f"{value:{'#' if '#' in flags and verb in 'xXo' else ''}{verb}}", flags, width)


def _signed(text: str, flags: str, width: int) -> str:
    if not text.startswith("-"):
        text = ("+" if "+" in flags else " " if " " in flags else "") + text
    if "0" in flags and "-" not in flags:
        return text.zfill(width)
    return _padded(text, flags, width)


def _padded(text: str, flags: str, width: int) -> str:
    return text.ljust(width) if "-" in flags else text.rjust(width, "0" if "0" in flags else " ")


def quoted(text: str) -> str:
    """Return a text in double quotes as Go writes a literal."""
    escapes = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    parts = []
    for char in text:
        if char in '"\\':
            parts.append("\\" + char)
        elif char in escapes:
            parts.append(escapes[char])
        elif char.isprintable():
            parts.append(char)
        else:
            code = ord(char)
            parts.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")  # noqa: PLR2004 sizes of escapes
    return f'"{"".join(parts)}"'
