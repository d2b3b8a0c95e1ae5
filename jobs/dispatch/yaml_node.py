"""A YAML document that knows where everything stands, so that a mistake can be named by line, path and reason."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import yaml

Path = tuple[str | int, ...]
_NULL: Final = "tag:yaml.org,2002:null"
_MERGE: Final = "tag:yaml.org,2002:merge"
_TRUE: Final = frozenset({"true", "yes", "on", "y"})
_WORDS: Final[dict[str, bool | None]] = {"": None, "~": None, "null": None, "true": True, "false": False}
_STEP: Final = re.compile(r"\[(\d+)\]|\[(\.\.\.)\]|\.?([^.\[\]]+)")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FALSE: Final = frozenset({"false", "no", "off", "n"})


class NodeError(ValueError):
    """Something that cannot be as it stands, with its path and its line."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path = path
        self.line = line
        self.reason = reason
        super().__init__(reason)


class Node:
    """One value of a document. Its methods return what it should be, or raise NodeError."""

    def __init__(self, node: yaml.Node, path: Path = ()) -> None:
        self._node = node
        self.path = path

    @property
    def line(self) -> int:
        """Line of the file, from 1."""
        return int(self._node.start_mark.line) + 1

    def mistake(self, reason: str) -> NodeError:
        """Return the mistake that this value is, to be raised."""
        return NodeError(self.path, self.line, reason)

    def text(self) -> str:
        """Return a scalar as it was written; a number or `true` is a text where one is wanted, null is empty."""
        if not isinstance(self._node, yaml.ScalarNode):
            raise self.mistake("a text is wanted here")
        return "" if self._node.tag == _NULL else str(self._node.value)

    def flag(self) -> bool:
        """Return true or false."""
        value = self.text().lower()
        if value in _TRUE | _FALSE:
            return value in _TRUE
        raise self.mistake("true or false is wanted here")

    def items(self) -> list["Node"]:
        """Return the elements of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.mistake("a list is wanted here")
        return [Node(each, (*self.path, number)) for number, each in enumerate(self._node.value)]

    def pairs(self) -> dict[str, "Node"]:
        """Return the values of a mapping by key, those that are null too."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.mistake("a mapping is wanted here")
        found: dict[str, Node] = {}
        merged: list[tuple[str, Node]] = []
        for key, value in self._node.value:
            if key.tag == _MERGE:
                merged += self._merged(value)
                continue
            name = Node(key, self.path).text()
            if name in found:
                raise Node(key, (*self.path, name)).mistake("stands here twice")
            found[name] = Node(value, (*self.path, name))
        return dict(merged) | found

    def fields(self, known: Iterable[str]) -> dict[str, "Node"]:
        """Return the values of a mapping that has no other keys than the known ones; null is as good as absent."""
        pairs = self.pairs()
        names = sorted(known)
        for name, value in pairs.items():
            if name not in names:
                raise NodeError(value.path, self._line_of(name), _unknown(name, names))
        return {name: value for name, value in pairs.items() if value._node.tag != _NULL}  # noqa: SLF001 - its own kind

    def plain(self) -> Any:
        """Return the value as YAML's safe types have it."""
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_document(self._node)
        except yaml.constructor.ConstructorError as error:
            mark = error.problem_mark
            raise NodeError(self.path, mark.line + 1 if mark else self.line, str(error.problem)) from None

    def core(self) -> Any:
        """Return the value as YAML 1.2 has it: `22:00`, `on` and `2026-11-02` are texts."""
        if isinstance(self._node, yaml.SequenceNode):
            return [each.core() for each in self.items()]
        if isinstance(self._node, yaml.MappingNode):
            return {name: each.core() for name, each in self.pairs().items()}
        text = str(self._node.value)
        is_quoted = isinstance(self._node, yaml.ScalarNode) and self._node.style in {"'", '"', "|", ">"}
        if is_quoted:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def at(self, path: Path) -> "Node":
        """Return what stands at a path from here, or the last on the way to it."""
        node = self
        for step in path:
            try:
                inner = node.items()[step] if isinstance(step, int) else node.pairs().get(step)
            except (NodeError, IndexError):
                return node
            if inner is None:
                return node
            node = inner
        return node

    def _merged(self, value: yaml.Node) -> Iterator[tuple[str, "Node"]]:
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        # The first of several merged mappings wins, so it comes last.
        for source in reversed(sources):
            yield from Node(source, self.path).pairs().items()

    def _line_of(self, name: str) -> int:
        for key, _ in self._node.value:
            if key.value == name:
                return int(key.start_mark.line) + 1
        return self.line


def path_of(text: str) -> Path:
    """Return a path from its text, `steps[0].people[1]`."""
    return tuple(int(number) if number else any_ or name for number, any_, name in _STEP.findall(text))


def document(text: str) -> Node | None:
    """Return the first document of a text, None if there is nothing in it. Raises NodeError if it is no YAML."""
    try:
        root = next(yaml.compose_all(text, Loader=_LOADER), None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = "; ".join(each for each in (error.context, error.problem) if each)
        raise NodeError((), mark.line + 1 if mark else 1, f"this is no YAML: {reason}") from None
    except yaml.YAMLError as error:
        raise NodeError((), 1, f"this is no YAML: {' '.join(str(error).split())}") from None
    return Node(root) if root is not None and root.tag != _NULL else None


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"no key has this name here; {advice}"
