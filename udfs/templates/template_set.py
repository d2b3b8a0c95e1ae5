"""Template set: the default templates and the user's, parsed once, rendered for every notification."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any

from udfs.templates.execution import Execution
from udfs.templates.functions import NAMES
from udfs.templates.nodes import Call, If, Range, With
from udfs.templates.parser import Body, is_empty, parsed
from udfs.templates.problem import TemplateError

DEFAULT_FILES = ("default.tmpl", "mail.tmpl")


class TemplateSet:
    """Templates by name; a later file replaces what an earlier one defines."""

    def __init__(self, sources: Iterable[tuple[str, str]] = ()) -> None:
        """Take files as (name, text) on top of the defaults; raises TemplateError for the first that is wrong."""
        self._bodies = dict(_default_bodies())
        for name, text in sources:
            for each, body in parsed(name, text, NAMES).items():
                if each not in self._bodies or not is_empty(body):
                    self._bodies[each] = body
        self._parsed = lru_cache(maxsize=1_024)(self._parse)

    def check(self, text: str) -> None:
        """Raise TemplateError unless a text of the configuration can be parsed and all that it calls is defined."""
        bodies = self._parse(text)
        seen, left = {""}, [""]
        while left:
            name = left.pop()
            for call in _calls(bodies.get(name, ())):
                if call.name not in bodies:
                    raise TemplateError(name, call.line, f'template "{call.name}" not defined')
                if call.name not in seen:
                    seen.add(call.name)
                    left.append(call.name)

    def text(self, text: str, data: Any, now_ms: int) -> str:
        """Return what a text of the configuration says of a notification; raises TemplateError."""
        return self._rendered(text, data, now_ms, is_html=False)

    def html(self, text: str, data: Any, now_ms: int) -> str:
        """As `text`, with every value escaped for its place in HTML."""
        return self._rendered(text, data, now_ms, is_html=True)

    def _rendered(self, text: str, data: Any, now_ms: int, *, is_html: bool) -> str:
        return Execution(self._parsed(text), data, now_ms, is_html=is_html).run("")

    def _parse(self, text: str) -> dict[str, Body]:
        own = parsed("", text, NAMES)
        return {**self._bodies, **{name: body for name, body in own.items() if not name or not is_empty(body)}}


def _calls(body: Body) -> Iterator[Call]:
    for node in body:
        if isinstance(node, Call):
            yield node
        elif isinstance(node, If | With | Range):
            yield from _calls((*node.body, *node.otherwise))


@lru_cache(maxsize=1)
def _default_bodies() -> dict[str, Body]:
    bodies: dict[str, Body] = {}
    for name in DEFAULT_FILES:
        bodies |= parsed(name, (files("udfs.templates") / name).read_text(encoding="utf-8"), NAMES)
    return bodies
