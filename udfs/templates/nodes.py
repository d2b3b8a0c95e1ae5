"""The tree of a template."""

from typing import Any, TypeAlias

from msgspec import Struct


class Literal(Struct, frozen=True):
    """A text, number or truth value."""

    value: Any


class Nil(Struct, frozen=True):
    """The word `nil`."""


class Dot(Struct, frozen=True):
    """The data at hand."""


class Field(Struct, frozen=True):
    """A chain of fields or keys of the data at hand: `.Labels.severity`."""

    names: tuple[str, ...]


class Variable(Struct, frozen=True):
    """A variable and a chain of its fields: `$alert.Labels`; `$` alone is the data that the template began with."""

    name: str
    names: tuple[str, ...]


class Function(Struct, frozen=True):
    """A function by its name."""

    name: str


class Chain(Struct, frozen=True):
    """A chain of fields of what parentheses hold: `(index .Alerts 0).Labels`."""

    of: "Operand"
    names: tuple[str, ...]


class Command(Struct, frozen=True):
    """An operand, with arguments if it is a function or method."""

    args: tuple["Operand", ...]


class Pipeline(Struct, frozen=True):
    """Commands, each given the result of the one before as its last argument; the result may go into variables."""

    commands: tuple[Command, ...]
    line: int
    variables: tuple[str, ...] = ()
    is_assignment: bool = False


Operand: TypeAlias = Literal | Nil | Dot | Field | Variable | Function | Chain | Pipeline


class Text(Struct, frozen=True):
    """Text that stands for itself."""

    text: str


class Action(Struct, frozen=True):
    """A pipeline whose result is written, unless it goes into a variable."""

    pipeline: Pipeline


class If(Struct, frozen=True):
    """One of two bodies, by the truth of a pipeline."""

    pipeline: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


class With(Struct, frozen=True):
    """A body with other data at hand, if that is true."""

    pipeline: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


class Range(Struct, frozen=True):
    """A body for each element."""

    pipeline: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


class Call(Struct, frozen=True):
    """Another template, by its name."""

    name: str
    pipeline: Pipeline | None
    line: int


class Break(Struct, frozen=True):
    """The end of the innermost loop."""


class Continue(Struct, frozen=True):
    """The next round of the innermost loop."""


Node: TypeAlias = Text | Action | If | With | Range | Call | Break | Continue
