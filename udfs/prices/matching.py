"""Matching: by which names a model goes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import re2

_LEVELS: Final = 16


def matches(rule: Mapping[str, Any], name: str) -> bool:
    """Return whether a name of a model, in lower case, meets a rule."""
    ((kind, value),) = rule.items()
    return _KINDS[kind](value, name)


def check_rule(rule: Mapping[str, Any], place: str, levels: int = _LEVELS) -> None:
    """Raise ValueError with the place unless a rule can be matched."""
    if len(rule) != 1 or not set(rule) <= set(_KINDS):
        raise ValueError(f"{place}: a match has to be one of {', '.join(_KINDS)}")
    ((kind, value),) = rule.items()
    if kind in {"or", "and"}:
        if not isinstance(value, list) or not levels or not all(isinstance(part, dict) for part in value):
            raise ValueError(f"{place}: match {kind} has to be a list of matches")
        for part in value:
            check_rule(part, place, levels - 1)
    elif not isinstance(value, str) or not value:
        raise ValueError(f"{place}: match {kind} has to be a text")
    elif kind == "regex":
        try:
            re2.compile(value)
        except re2.error:
            raise ValueError(f"{place}: match regex is not one that RE2 reads") from None


_KINDS: Final[Mapping[str, Callable[[Any, str], bool]]] = {
    "equals": lambda text, name: name == text.lower(),
    "starts_with": lambda text, name: name.startswith(text.lower()),
    "ends_with": lambda text, name: name.endswith(text.lower()),
    "contains": lambda text, name: text.lower() in name,
    "regex": lambda text, name: re2.search(text, name) is not None,
    "or": lambda parts, name: any(matches(part, name) for part in parts),
    "and": lambda parts, name: all(matches(part, name) for part in parts),
}
