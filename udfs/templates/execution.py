"""Execution of a template: bounded in steps, in depth and in what it writes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from udfs.templates.escaping import HtmlPlace
from udfs.templates.functions import FUNCTIONS, called, truth
from udfs.templates.go_time import GoDuration, GoNamed, GoTime, time_of
from udfs.templates.nodes import (
    Action,
    Break,
    Call,
    Chain,
    Command,
    Continue,
    Dot,
    Field,
    Function,
    If,
    Literal,
    Nil,
    Node,
    Operand,
    Pipeline,
    Range,
    Text,
    Variable,
    With,
)
from udfs.templates.printing import SafeHtml, type_name, written
from udfs.templates.problem import TemplateError, ValueProblem
from udfs.templates.values import KV, METHODS, Data

MOST_STEPS: Final = 500_000
MOST_DEPTH: Final = 50
MOST_WRITTEN: Final = 1_000_000
"""Characters that one template may write, and that one value may have."""
_NOTHING: Final = object()


class _Stop(Exception):  # noqa: N818 - no error, the end of a round
    def __init__(self, *, is_break: bool) -> None:
        self.is_break = is_break


class Execution:
    """One run of one template over data; it can be used once."""

    def __init__(self, bodies: Mapping[str, tuple[Node, ...]], data: Any, now_ms: int, *, is_html: bool) -> None:
        self.bodies = bodies
        self.data = data
        self.now = time_of(now_ms)
        self.place = HtmlPlace() if is_html else None
        self.parts: list[str] = []
        self.size = self.steps = self.depth = 0
        self.name, self.line = "", 1
        self.variables: list[list[Any]] = []
        self.resolving: list[str] = []

    def run(self, name: str) -> str:
        """Return what the template of that name writes; raises TemplateError."""
        self.name = name
        try:
            self._call(name, self.data)
        except ValueProblem as problem:
            raise TemplateError(self.name, self.line, str(problem)) from None
        except RecursionError:
            raise TemplateError(self.name, self.line, "nested too deeply") from None
        return "".join(self.parts)

    def _call(self, name: str, dot: Any) -> None:
        if name not in self.bodies:
            raise ValueProblem(f'template "{name}" not defined')
        if self.depth >= MOST_DEPTH:
            raise ValueProblem(f"templates call one another more than {MOST_DEPTH} deep")
        outer = (self.name, self.line, self.variables)
        self.name, self.variables = name, [["$", dot]]
        self.depth += 1
        self._walk(self.bodies[name], dot)
        self.depth -= 1
        self.name, self.line, self.variables = outer

    def _write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MOST_WRITTEN:
            raise ValueProblem(f"more than {MOST_WRITTEN:,} characters")
        self.parts.append(text)

    def _count(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise ValueProblem(f"more than {MOST_STEPS:,} steps")

    def _walk(self, body: Sequence[Node], dot: Any) -> None:
        for node in body:
            self._count()
            match node:
                case Text():
                    self._write(self.place.feed(node.text) if self.place else node.text)
                case Action():
                    value = self._pipeline(node.pipeline, dot)
                    if not node.pipeline.variables:
                        self._write(self._shown(node.pipeline, value))
                case If() | With():
                    self._branch(node, dot)
                case Range():
                    self._range(node, dot)
                case Call():
                    self.line = node.line
                    self._call(node.name, None if node.pipeline is None else self._pipeline(node.pipeline, dot))
                case Break() | Continue():
                    raise _Stop(is_break=isinstance(node, Break))

    def _shown(self, pipeline: Pipeline, value: Any) -> str:
        if self.place is None:
            return written(value)
        last = pipeline.commands[-1].args[0]
        if isinstance(last, Function) and last.name == "html" and self.place.state == "text":
            value = SafeHtml(value)
        return self.place.escaped((value,))

    def _branch(self, node: If | With, dot: Any) -> None:
        known = len(self.variables)
        value = self._pipeline(node.pipeline, dot)
        inner = value if isinstance(node, With) else dot
        if truth(value):
            self._walk(node.body, inner)
        else:
            self._walk(node.otherwise, dot)
        del self.variables[known:]

    def _range(self, node: Range, dot: Any) -> None:
        known = len(self.variables)
        names = node.pipeline.variables
        value = self._pipeline(node.pipeline, dot, is_range=True)
        pairs = _elements(value)
        for key, element in pairs:
            del self.variables[known:]
            if names:
                given = (element,) if len(names) == 1 else (key, element)
                if node.pipeline.is_assignment:
                    for name, each in zip(names, given, strict=True):
                        self._assign(name, each)
                else:
                    self.variables += [[name, each] for name, each in zip(names, given, strict=True)]
            self._count()
            try:
                self._walk(node.body, element)
            except _Stop as stop:
                if stop.is_break:
                    break
        del self.variables[known:]
        if not pairs:
            self._walk(node.otherwise, dot)

    def _assign(self, name: str, value: Any) -> None:
        for variable in reversed(self.variables):
            if variable[0] == name:
                variable[1] = value
                return
        raise ValueProblem(f"undefined variable {name}")

    def _pipeline(self, pipeline: Pipeline, dot: Any, *, is_range: bool = False) -> Any:
        self.line = pipeline.line
        value: Any = _NOTHING
        for command in pipeline.commands:
            value = self._command(command, dot, value)
            if isinstance(value, str) and len(value) > MOST_WRITTEN:
                raise ValueProblem(f"a value of more than {MOST_WRITTEN:,} characters")
        if not is_range:
            for name in pipeline.variables:
                if pipeline.is_assignment:
                    self._assign(name, value)
                else:
                    self.variables.append([name, value])
        return value

    def _command(self, command: Command, dot: Any, final: Any) -> Any:
        self._count()
        first, *rest = command.args
        if isinstance(first, Function):
            return self._function(first.name, rest, dot, final)
        if not rest and final is _NOTHING:
            return self._operand(first, dot)
        args = [self._operand(each, dot) for each in rest]
        if final is not _NOTHING:
            args.append(final)
        match first:
            case Field() if first.names:
                return _chain(dot, first.names, args)
            case Variable() if first.names:
                return _chain(self._variable(first.name), first.names, args)
            case Chain():
                return _chain(self._operand(first.of, dot), first.names, args)
        raise ValueProblem("arguments for something that is no function")

    def _function(self, name: str, rest: Sequence[Operand], dot: Any, final: Any) -> Any:
        if name in ("and", "or") and rest:
            value: Any = None
            for each in rest:
                value = self._operand(each, dot)
                if truth(value) is (name == "or"):
                    return value
            return value if final is _NOTHING else final
        args = [self._operand(each, dot) for each in rest]
        if final is not _NOTHING:
            args.append(final)
        own: dict[str, tuple[int, Callable[..., Any]]] = {
            "now": (0, lambda: self.now),
            "since": (1, self._since),
            "routeLabels": (1, self._route_label),
        }
        if name in own:
            count, call = own[name]
            if len(args) != count:
                raise ValueProblem(f"wrong number of args for {name}: want {count} got {len(args)}")
            return call(*args)
        return called(name, FUNCTIONS[name], args)

    def _since(self, time: Any) -> GoDuration:
        if not isinstance(time, GoTime):
            raise ValueProblem(f"since: wrong type for value; expected time.Time; got {type_name(time)}")
        return self.now.minus(time)

    def _route_label(self, name: Any) -> str:
        if not isinstance(name, str):
            raise ValueProblem(f"routeLabels: wrong type for value; expected string; got {type_name(name)}")
        return self.data.RouteLabels.get(name, "") if isinstance(self.data, Data) else ""

    def _operand(self, operand: Operand, dot: Any) -> Any:  # noqa: PLR0911 - a table
        match operand:
            case Literal():
                return operand.value
            case Nil():
                return None
            case Dot():
                return dot
            case Field():
                return _chain(dot, operand.names, ())
            case Variable():
                return _chain(self._variable(operand.name), operand.names, ())
            case Function():
                return self._function(operand.name, (), dot, _NOTHING)
            case Chain():
                return _chain(self._operand(operand.of, dot), operand.names, ())
            case Pipeline():
                return self._pipeline(operand, dot)

    def _variable(self, name: str) -> Any:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise ValueProblem(f"undefined variable {name}")


def _elements(value: Any) -> list[tuple[Any, Any]]:
    if value is None:
        return []
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        if value > MOST_STEPS:
            raise ValueProblem(f"more than {MOST_STEPS:,} steps")
        return [(each, each) for each in range(value)]
    raise ValueProblem(f"range can't iterate over {type_name(value)}")


def _chain(value: Any, names: Sequence[str], args: Sequence[Any]) -> Any:
    for position, name in enumerate(names):
        value = _member(value, name, args if position == len(names) - 1 else ())
    return value


def _member(value: Any, name: str, args: Sequence[Any]) -> Any:
    """Return a method's result, a field or a key, looked for in this order, as Go does."""
    for kind, methods in METHODS.items():
        if isinstance(value, kind) and name in methods:
            return _method(name, methods[name], value, args)
    if isinstance(value, GoTime | GoDuration) and (methods := _TIME_METHODS[type(value)]) and name in methods:
        return _method(name, methods[name], value, args)
    if args:
        raise ValueProblem(f"{name} has arguments but cannot be invoked as function")
    if isinstance(value, Struct):
        if name in value.__struct_fields__ and name[:1].isupper():
            return getattr(value, name)
        raise ValueProblem(f"can't evaluate field {name} in type {type_name(value)}")
    if isinstance(value, dict):
        return value.get(name, "" if isinstance(value, KV) else None)
    if value is None:
        return None
    raise ValueProblem(f"can't evaluate field {name} in type {type_name(value)}")


def _method(name: str, method: Callable[..., Any], value: Any, args: Sequence[Any]) -> Any:
    try:
        return method(value, *args)
    except ValueProblem:
        raise
    except (TypeError, AttributeError):
        raise ValueProblem(f"{name}: wrong number or type of arguments") from None


_TIME_METHODS: Final[dict[type, dict[str, Callable[..., Any]]]] = {
    GoTime: {
        "Format": lambda time, layout: time.formatted(layout + ""),
        "String": lambda time: time.text(),
        "Unix": lambda time: int(time.at.timestamp() // 1),
        "UnixMilli": lambda time: int(time.at.timestamp() * 1_000 // 1),
        "UTC": lambda time: time.in_zone("UTC"),
        "Local": lambda time: time.in_zone("UTC"),
        "Year": lambda time: time.at.year,
        "Month": lambda time: GoNamed(time.at.month, time.formatted("January")),
        "Day": lambda time: time.at.day,
        "Hour": lambda time: time.at.hour,
        "Minute": lambda time: time.at.minute,
        "Second": lambda time: time.at.second,
        "Nanosecond": lambda time: time.at.microsecond * 1_000,
        "YearDay": lambda time: time.at.timetuple().tm_yday,
        "Weekday": lambda time: GoNamed(time.at.isoweekday() % 7, time.formatted("Monday")),
        "IsZero": lambda time: time == time_of(None),
        "Before": lambda time, other: time.at < other.at,
        "After": lambda time, other: time.at > other.at,
        "Equal": lambda time, other: time.at == other.at,
        "Sub": lambda time, other: time.minus(other),
        "Add": lambda time, duration: time.plus(duration),
    },
    GoDuration: {
        "String": lambda duration: duration.text(),
        "Hours": lambda duration: int(duration) / 3_600e9,
        "Minutes": lambda duration: int(duration) / 60e9,
        "Seconds": lambda duration: int(duration) / 1e9,
        "Milliseconds": lambda duration: int(duration) // 1_000_000,
        "Round": lambda duration, unit: duration.rounded(unit),
        "Truncate": lambda duration, unit: duration.truncated(unit),
    },
}
