"""Matchers as a configuration writes them: `matchers`, and the older `match` and `match_re`."""

import re
from typing import Final

from jobs.dispatch.yaml_node import Node
from udfs.alerting.matcher import Matcher, MatchKind, anchored, in_order
from udfs.alerting.matcher_text import matchers_of

_OLD_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


def is_label_name(name: str) -> bool:
    """Return whether a label may have this name: any text has been one since 0.27."""
    return bool(name)


def matchers_of_sections(match: Node | None, match_re: Node | None, matchers: Node | None) -> tuple[Matcher, ...]:
    """Return the matchers of the three sections that can hold some, in order."""
    found: list[Matcher] = []
    for name, value in match.pairs().items() if match else ():
        _check_old_name(value, name)
        found.append(Matcher(name, MatchKind.EQUAL, value.text()))
    for name, value in match_re.pairs().items() if match_re else ():
        _check_old_name(value, name)
        if value.plain() is None:
            raise value.mistake("a regular expression is wanted here")
        try:
            anchored(value.text())
        except ValueError as error:
            raise value.mistake(str(error)) from None
        # Alertmanager names these with their anchors in group keys, too.
        found.append(Matcher(name, MatchKind.REGEX, f"^(?:{value.text()})$"))
    for line in matchers.items() if matchers else ():
        try:
            found += matchers_of(line.text())
        except ValueError as error:
            raise line.mistake(str(error)) from None
    return in_order(tuple(found))


def _check_old_name(node: Node, name: str) -> None:
    if not _OLD_NAME.fullmatch(name):
        raise node.mistake(f"{name!r} is no name of a label here; other names can stand in `matchers`")
