"""Matchers: what a label set has to look like, with Alertmanager's meaning."""

from enum import StrEnum
from functools import lru_cache
from typing import Protocol

import re2
from msgspec import Struct


class MatchKind(StrEnum):
    """How a matcher compares its value with a label's; a label that is not there has the empty value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


class Matcher(Struct, frozen=True):
    """A condition on one label. Regular expressions are RE2 and anchored at both ends."""

    name: str
    kind: MatchKind
    value: str

    def matches(self, labels: dict[str, str]) -> bool:
        """Return whether the label has the value, or does not have it. Raises ValueError for a bad expression."""
        value = labels.get(self.name, "")
        kind = self.kind
        if kind is MatchKind.EQUAL:
            return value == self.value
        if kind is MatchKind.NOT_EQUAL:
            return value != self.value
        return (anchored(self.value).search(value) is not None) == (kind is MatchKind.REGEX)

    def __str__(self) -> str:
        return f'{self.name}{self.kind}"{_escaped(self.value)}"'


def all_match(matchers: tuple[Matcher, ...], labels: dict[str, str]) -> bool:
    """Return whether the labels fulfil every matcher; they fulfil none at all, too."""
    for matcher in matchers:  # noqa: SIM110 - a generator takes several times as long, and this is asked all the time
        if not matcher.matches(labels):
            return False
    return True


def in_order(matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    """Return the matchers in the order in which Alertmanager names them: by name, value and kind."""
    kinds = list(MatchKind)
    return tuple(sorted(matchers, key=lambda each: (each.name, each.value, kinds.index(each.kind))))


def matchers_text(matchers: tuple[Matcher, ...]) -> str:
    """Return the matchers as they stand in group keys: `{a="b",c=~"d"}`."""
    return "{" + ",".join(map(str, matchers)) + "}"


class Anchored(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> object | None:
        """Return a match if the whole text is one."""


@lru_cache(maxsize=10_000)
def anchored(expression: str) -> Anchored:
    """Return an expression compiled so that it has to match the whole text. Raises ValueError if RE2 refuses it."""
    try:
        compiled: Anchored = re2.compile(f"^(?:{expression})$", _QUIET)
    except re2.error as error:
        raise ValueError(f"{expression!r} is no regular expression (RE2): {_reason(error)}") from None
    return compiled


_QUIET = re2.Options()
_QUIET.log_errors = False


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
