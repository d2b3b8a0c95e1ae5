"""The functions that templates may call: Go's own, and those that Alertmanager 0.34 adds."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote_plus, unquote_to_bytes

import re2

from udfs.templates.go_json import go_json
from udfs.templates.go_time import GoDuration, GoTime, read_time
from udfs.templates.printing import SafeHtml, SafeUrl, formatted, joined, text_of, type_name
from udfs.templates.problem import ValueProblem
from udfs.templates.values import KV, Strings

LONGEST_PATTERN: Final = 10_000
_WORD: Final = re.compile(r"[^\W_]+(?:['’._:·]+[^\W_]+|_+(?:[^\W_]+)?)*", re.UNICODE)
_REFERENCE: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)
_HTML: Final = {"\0": "�", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_JS: Final = {
    "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D",
}  # fmt: skip


class GoFunction(NamedTuple):
    """A function with the types of its arguments; the last is repeated if it is `variadic`."""

    call: Callable[..., Any]
    wants: tuple[str, ...]
    variadic: bool = False


def called(name: str, function: GoFunction, args: Sequence[Any]) -> Any:
    """Return what a function makes of its arguments; raises ValueProblem if they are too few, too many or wrong."""
    fixed = len(function.wants) - function.variadic
    if len(args) < fixed or (len(args) > fixed and not function.variadic):
        least = "at least " if function.variadic else ""
        raise ValueProblem(f"wrong number of args for {name}: want {least}{fixed} got {len(args)}")
    for position, value in enumerate(args):
        wanted = function.wants[min(position, len(function.wants) - 1)]
        if not _ACCEPTS[wanted](value):
            raise ValueProblem(f"{name}: wrong type for value; expected {wanted}; got {type_name(value)}")
    return function.call(*args)


_ACCEPTS: Final[dict[str, Callable[[Any], bool]]] = {
    "any": lambda _: True,
    "string": lambda value: type(value) is str,
    "[]string": lambda value: isinstance(value, Strings) or (value == [] and isinstance(value, Strings)),
    "list": lambda value: isinstance(value, list) and not isinstance(value, Strings),
    "time.Time": lambda value: isinstance(value, GoTime),
    "duration": lambda value: isinstance(value, GoDuration),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
}


def matches(pattern: str, text: str) -> bool:
    """Return whether an RE2 expression is found in a text."""
    return compiled(pattern).search(text) is not None


def compiled(pattern: str) -> Any:
    """Return an RE2 expression, which takes linear time; raises ValueProblem if it is none."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueProblem("the regular expression is too long")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueProblem(f"bad regular expression: {reason}") from None


def replaced(pattern: str, replacement: str, text: str) -> str:
    """Return a text with every match replaced; `$1` and `${name}` stand for groups, as Go expands them."""
    expression = compiled(pattern)
    parts: list[str] = []
    last, ended = 0, -1
    for found in expression.finditer(text):
        start, end = found.span()
        if start == end == ended:
            continue
        parts += (text[last:start], _REFERENCE.sub(partial(_group, found), replacement))
        last = ended = end
    return "".join((*parts, text[last:]))


def _group(found: Any, mark: re.Match[str]) -> str:
    name = mark[1] or mark[2]
    if name is None:
        return "$"
    try:
        return found.group(int(name) if name.isdigit() else name) or ""
    except (IndexError, KeyError, re2.error):
        return ""


def titled(text: str) -> str:
    """Return a text with every word begun by a capital, the rest small."""

    def one(found: re.Match[str]) -> str:
        word = found[0]
        for position, char in enumerate(word):
            if char.lower() != char.upper() or char.isalpha():
                return word[:position] + char.title() + word[position + 1 :].lower()
        return word

    return _WORD.sub(one, text)


def humanized(value: Any) -> str:
    """Return seconds (a number, a text, a duration) as people read them."""
    if isinstance(value, GoDuration):
        seconds = int(value) / 1e9
    elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        try:
            seconds = float(value)
        except ValueError:
            raise ValueProblem(f'"{value}" is no number') from None
    else:
        raise ValueProblem(f"cannot convert {type_name(value)} to float")
    if seconds != seconds or abs(seconds) == float("inf"):  # noqa: PLR0124 NaN differs from itself
        return text_of(seconds)
    if abs(seconds) >= 1:
        return _whole(seconds)
    prefix = ""
    for each in "munpfazy":
        if seconds == 0 or abs(seconds) >= 1:
            break
        prefix = each
        seconds *= 1_000
    return f"{_four(seconds)}{prefix}s"


def _whole(seconds: float) -> str:
    sign, size = ("-" if seconds < 0 else ""), abs(seconds)
    minutes, rest = divmod(int(size), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {rest}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {rest}s"
    return f"{sign}{minutes}m {rest}s" if minutes else f"{sign}{_four(size)}s"


def _four(value: float) -> str:
    return formatted("%.4g", (value,))


def index(value: Any, *keys: Any) -> Any:
    """Return an element by its position or key."""
    for key in keys:
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise ValueProblem(f"index: value has type {type_name(key)}; should be string")
            value = value.get(key, "" if isinstance(value, KV) else None)
        elif isinstance(value, list | str):
            if not isinstance(key, int) or isinstance(key, bool):
                raise ValueProblem(f"cannot index slice/array with type {type_name(key)}")
            elements: Any = value.encode() if isinstance(value, str) else value
            if not 0 <= key < len(elements):
                raise ValueProblem(f"index out of range: {key}")
            value = elements[key]
        else:
            raise ValueProblem(f"cannot index {'nil' if value is None else f'item of type {type_name(value)}'}")
    return value


def sliced(value: Any, *ends: Any) -> Any:
    """Return a part of a text (by bytes) or list."""
    if not isinstance(value, str | list):
        raise ValueProblem(f"cannot slice item of type {type_name(value)}")
    if len(ends) > (2 if isinstance(value, str) else 3):
        raise ValueProblem(f"too many slice indexes: {len(ends)}")
    elements: Any = value.encode() if isinstance(value, str) else value
    bounds = [0, len(elements)]
    for position, end in enumerate(ends):
        if not isinstance(end, int) or isinstance(end, bool):
            raise ValueProblem(f"cannot index slice/array with type {type_name(end)}")
        if not 0 <= end <= len(elements):
            raise ValueProblem(f"index out of range: {end}")
        bounds[min(position, 1)] = end if position < 2 else bounds[1]  # noqa: PLR2004 the third is a capacity
    if bounds[0] > bounds[1]:
        raise ValueProblem(f"invalid slice index: {bounds[0]} > {bounds[1]}")
    part = elements[bounds[0] : bounds[1]]
    return part.decode(errors="replace") if isinstance(value, str) else type(value)(part)


def length(value: Any) -> int:
    """Return the bytes of a text, or the elements of a list or map."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | dict):
        return len(value)
    raise ValueProblem("len of nil pointer" if value is None else f"len of type {type_name(value)}")


def truth(value: Any) -> bool:
    """Return whether a value counts as true: not false, 0, nil or empty."""
    return True if isinstance(value, GoTime) else bool(value)


def equal(first: Any, *others: Any) -> bool:
    """Return whether the first value equals any other."""
    if not others:
        raise ValueProblem("missing argument for comparison")
    for other in others:
        kinds = {_kind(first), _kind(other)}
        if "nil" not in kinds and len(kinds) > 1:
            raise ValueProblem("incompatible types for comparison")
        if kinds & {"list", "map"}:
            if "nil" in kinds:
                continue
            raise ValueProblem(f"non-comparable type {type_name(first)}")
        if first == other:
            return True
    return False


def less(first: Any, second: Any) -> bool:
    """Return whether a value is below another of its kind."""
    kinds = {_kind(first), _kind(second)}
    if kinds - {"string", "int", "float"}:
        raise ValueProblem("invalid type for comparison")
    if len(kinds) > 1:
        raise ValueProblem("incompatible types for comparison")
    below: bool = first < second
    return below


def _kind(value: Any) -> str:
    for kind, name in ((bool, "bool"), (str, "string"), (int, "int"), (float, "float"), (dict, "map"), (list, "list")):
        if isinstance(value, kind):
            return name
    return "nil" if value is None else type_name(value)


def html_text(*values: Any) -> str:
    """Return values as text in HTML."""
    return "".join(_HTML.get(char, char) for char in _printed(values))


def js_text(*values: Any) -> str:
    """Return values as the inside of a JavaScript string."""
    return "".join(
        _JS.get(char, f"\\u{ord(char):04X}" if ord(char) < 0x20 else char)  # noqa: PLR2004 control characters
        for char in _printed(values)
    )


def query_text(*values: Any) -> str:
    """Return values as a part of a URL's query."""
    return quote_plus(_printed(values), safe="-_.~")


def _printed(values: Sequence[Any]) -> str:
    return values[0] if len(values) == 1 and isinstance(values[0], str) else joined(values)


def unescaped(text: str) -> str:
    """Return a part of a URL's query as it was."""
    if re.search("%(?![0-9a-fA-F]{2})", text):
        raise ValueProblem("invalid URL escape")
    return unquote_to_bytes(text.replace("+", " ")).decode(errors="replace")


def decoded(text: str) -> str:
    """Return the text that URL-safe base64 stands for."""
    try:
        return base64.b64decode(text, altchars=b"-_", validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        raise ValueProblem("illegal base64 data") from None


def dictionary(*values: Any) -> dict[str, Any]:
    """Return a map of keys and values in turn."""
    if len(values) % 2:
        raise ValueProblem("dict requires an even number of arguments")
    if not all(isinstance(key, str) for key in values[::2]):
        raise ValueProblem("dict keys must be strings")
    return dict(zip(values[::2], values[1::2], strict=True))


def lenient_time(layout: str, text: str) -> GoTime:
    """Return the time of a text, Go's zero time if it is none."""
    try:
        return read_time(layout, text)
    except ValueProblem:
        return read_time("2006-01-02", "0001-01-01")


def _no_call(*_: Any) -> Any:
    raise ValueProblem("no value here can be called")


FUNCTIONS: Final[dict[str, GoFunction]] = {
    "and": GoFunction(
        lambda *values: next((each for each in values if not truth(each)), values[-1]), ("any", "any"), True
    ),
    "or": GoFunction(lambda *values: next((each for each in values if truth(each)), values[-1]), ("any", "any"), True),
    "not": GoFunction(lambda value: not truth(value), ("any",)),
    "len": GoFunction(length, ("any",)),
    "index": GoFunction(index, ("any", "any"), True),
    "slice": GoFunction(sliced, ("any", "any"), True),
    "print": GoFunction(lambda *values: joined(values), ("any",), True),
    "println": GoFunction(lambda *values: " ".join(map(text_of, values)) + "\n", ("any",), True),
    "printf": GoFunction(lambda layout, *values: formatted(layout, values), ("string", "any"), True),
    "html": GoFunction(html_text, ("any",), True),
    "js": GoFunction(js_text, ("any",), True),
    "urlquery": GoFunction(query_text, ("any",), True),
    "call": GoFunction(_no_call, ("any",), True),
    "eq": GoFunction(equal, ("any", "any"), True),
    "ne": GoFunction(lambda first, second: not equal(first, second), ("any", "any")),
    "lt": GoFunction(less, ("any", "any")),
    "le": GoFunction(lambda first, second: not less(second, first), ("any", "any")),
    "gt": GoFunction(lambda first, second: less(second, first), ("any", "any")),
    "ge": GoFunction(lambda first, second: not less(first, second), ("any", "any")),
    "toUpper": GoFunction(str.upper, ("string",)),
    "toLower": GoFunction(str.lower, ("string",)),
    "title": GoFunction(titled, ("string",)),
    "trimSpace": GoFunction(str.strip, ("string",)),
    "join": GoFunction(lambda separator, texts: separator.join(texts), ("string", "[]string")),
    "match": GoFunction(matches, ("string", "string")),
    "safeHtml": GoFunction(SafeHtml, ("string",)),
    "safeUrl": GoFunction(SafeUrl, ("string",)),
    "urlUnescape": GoFunction(unescaped, ("string",)),
    "reReplaceAll": GoFunction(replaced, ("string", "string", "string")),
    "stringSlice": GoFunction(lambda *texts: Strings(texts), ("string",), True),
    "date": GoFunction(lambda layout, time: time.formatted(layout), ("string", "time.Time")),
    "tz": GoFunction(lambda name, time: time.in_zone(name), ("string", "time.Time")),
    "humanizeDuration": GoFunction(humanized, ("any",)),
    "toDate": GoFunction(lenient_time, ("string", "string")),
    "mustToDate": GoFunction(read_time, ("string", "string")),
    "toJson": GoFunction(go_json, ("any",)),
    "base64encode": GoFunction(lambda text: base64.urlsafe_b64encode(text.encode()).decode(), ("string",)),
    "base64decode": GoFunction(decoded, ("string",)),
    "list": GoFunction(lambda *values: list(values), ("any",), True),
    "append": GoFunction(lambda values, *more: [*values, *more], ("list", "any"), True),
    "dict": GoFunction(dictionary, ("any",), True),
}
"""All functions but `now`, `since` and `routeLabels`, which need to know the time and the notification."""
OF_EXECUTION: Final = ("now", "since", "routeLabels")
NAMES: Final = frozenset((*FUNCTIONS, *OF_EXECUTION))
