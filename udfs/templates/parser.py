"""From the text of a template to its tree, and those of the templates it defines."""

from collections.abc import Collection
from typing import Final

from udfs.templates.lexer import Token, tokens_of
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
from udfs.templates.problem import TemplateError

Body = tuple[Node, ...]
MOST_LEVELS: Final = 100
"""Of actions within actions, and of parentheses within parentheses."""


def parsed(name: str, source: str, functions: Collection[str]) -> dict[str, Body]:
    """Return the bodies by name: the template itself and all that it defines; raises TemplateError."""
    parser = _Parser(name, tokens_of(name, source), functions)
    body, end = parser.body(0)
    if end:
        raise TemplateError(name, parser.line, f"unexpected {{{{{end}}}}}")
    return {name: body, **parser.defined}


def is_empty(body: Body) -> bool:
    """Return whether a body writes nothing but white space; such a one never replaces another definition."""
    return all(isinstance(node, Text) and not node.text.strip() for node in body)


class _Parser:
    def __init__(self, name: str, tokens: list[Token], functions: Collection[str]) -> None:
        self.name = name
        self.tokens = tokens
        self.functions = functions
        self.at = 0
        self.line = 1
        self.variables = ["$"]
        self.loops = 0
        self.defined: dict[str, Body] = {}

    def fail(self, reason: str) -> TemplateError:
        return TemplateError(self.name, self.line, reason)

    def next(self) -> Token:
        if self.at >= len(self.tokens):
            raise self.fail("unexpected end of the template")
        token = self.tokens[self.at]
        self.at += 1
        self.line = token.line
        return token

    def peek(self) -> Token | None:
        """Return the next token of an action that is not space, without taking it; spaces are."""
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "space":
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def body(self, level: int) -> tuple[Body, str]:
        """Return nodes up to `else` or `end`, and which of them it was; "" is the end of the template."""
        if level > MOST_LEVELS:
            raise self.fail(f"more than {MOST_LEVELS} actions within one another")
        nodes: list[Node] = []
        while self.at < len(self.tokens):
            token = self.next()
            if token.kind == "text":
                nodes.append(Text(token.text))
                continue
            first = self.peek()
            if first is None:
                raise self.fail("unclosed action")
            if first.kind == "keyword":
                self.next()
                if first.text in ("end", "else"):
                    return tuple(nodes), first.text
                node = self.keyword(first, level)
                if node is not None:
                    nodes.append(node)
            else:
                pipeline = self.pipeline("right", 0)
                nodes.append(Action(pipeline))
        return tuple(nodes), ""

    def keyword(self, token: Token, level: int) -> Node | None:
        """Return the node of an action that begins with a keyword; a definition is none."""
        match token.text:
            case "if" | "with" | "range":
                return self.control(token.text, level)
            case "break" | "continue":
                if not self.loops:
                    raise self.fail(f"{{{{{token.text}}}}} outside of {{{{range}}}}")
                self.close()
                return Break() if token.text == "break" else Continue()
            case "define":
                if level:
                    raise self.fail("unexpected {{define}} within another action")
                name = self.template_name()
                self.close()
                self.define(name, level)
                return None
            case "template":
                name = self.template_name()
                line = self.line
                return Call(name, self.optional_pipeline(), line)
            case _:  # block
                name = self.template_name()
                line = self.line
                pipeline = self.pipeline("right", 0)
                self.define(name, level)
                return Call(name, pipeline, line)

    def define(self, name: str, level: int) -> None:
        outer, self.variables, loops, self.loops = self.variables, ["$"], self.loops, 0
        body, end = self.body(level + 1)
        if end != "end":
            raise self.fail("unexpected {{else}} in a definition" if end else f'the definition of "{name}" has no end')
        self.close()
        self.variables, self.loops = outer, loops
        if name in self.defined and not is_empty(self.defined[name]) and not is_empty(body):
            raise self.fail(f'"{name}" is defined twice')
        if name not in self.defined or not is_empty(body):
            self.defined[name] = body

    def control(self, kind: str, level: int) -> Node:
        """Return an `if`, `with` or `range` up to its end; `else if` is an `if` of its own within `else`."""
        known = len(self.variables)
        pipeline = self.pipeline("right", 0, is_range=kind == "range")
        self.loops += kind == "range"
        body, end = self.body(level + 1)
        self.loops -= kind == "range"
        otherwise: Body = ()
        if end == "else":
            following = self.peek()
            if following is not None and following.kind == "keyword" and following.text == kind != "range":
                self.next()
                otherwise = (self.control(kind, level + 1),)
                del self.variables[known:]
                return (If if kind == "if" else With)(pipeline, body, otherwise)
            self.close()
            otherwise, end = self.body(level + 1)
            if end == "else":
                raise self.fail("expected {{end}}, found a second {{else}}")
        if not end:
            raise self.fail(f"{{{{{kind}}}}} has no {{{{end}}}}")
        self.close()
        del self.variables[known:]
        nodes: dict[str, type[If | With | Range]] = {"if": If, "with": With, "range": Range}
        return nodes[kind](pipeline, body, otherwise)

    def close(self) -> None:
        token = self.peek()
        if token is None or token.kind != "right":
            raise self.fail(f"unexpected {token.text!r}" if token else "unclosed action")
        self.next()

    def template_name(self) -> str:
        token = self.peek()
        if token is None or token.kind != "string":
            raise self.fail("expected the name of a template in quotes")
        return str(self.next().value)

    def optional_pipeline(self) -> Pipeline | None:
        token = self.peek()
        if token is not None and token.kind == "right":
            self.next()
            return None
        return self.pipeline("right", 0)

    def pipeline(self, end: str, level: int, *, is_range: bool = False) -> Pipeline:
        """Return the pipeline up to and including a token of kind `end`."""
        if level > MOST_LEVELS:
            raise self.fail(f"more than {MOST_LEVELS} parentheses within one another")
        self.peek()
        line = self.tokens[self.at].line if self.at < len(self.tokens) else self.line
        variables, is_assignment = self.declared(is_range=is_range)
        commands: list[Command] = []
        while True:
            token = self.peek()
            if token is None:
                raise self.fail("unclosed action")
            if token.kind == end:
                self.next()
                break
            commands.append(self.command(level, is_first=not commands))
            token = self.peek()
            if token is not None and token.kind == "pipe":
                self.next()
                following = self.peek()
                if following is None or following.kind in ("right", "close", "pipe"):
                    raise self.fail("a command is missing after |")
        if not commands:
            raise self.fail("a value is missing")
        if not is_assignment:
            self.variables += variables
        return Pipeline(tuple(commands), line, variables, is_assignment)

    def declared(self, *, is_range: bool) -> tuple[tuple[str, ...], bool]:
        """Return the variables that a pipeline sets, and whether they exist already."""
        start = self.at
        names: list[str] = []
        while (token := self.peek()) is not None and token.kind == "variable":
            names.append(self.next().text)
            token = self.peek()
            if token is not None and token.kind == "comma" and is_range and len(names) == 1:
                self.next()
                continue
            if token is not None and token.kind in ("declare", "assign"):
                self.next()
                if token.kind == "assign":
                    for name in names:
                        self.known(name)
                return tuple(names), token.kind == "assign"
            break
        self.at = start
        return (), False

    def known(self, name: str) -> None:
        if name not in self.variables:
            raise self.fail(f"undefined variable {name}")

    def command(self, level: int, *, is_first: bool) -> Command:
        args: list[Operand] = []
        while True:
            token = self.peek()
            if token is None or token.kind in ("right", "pipe", "close"):
                break
            args.append(self.operand(level))
            following = self.tokens[self.at].kind if self.at < len(self.tokens) else ""
            if following not in ("space", "right", "pipe", "close"):
                raise self.fail(f"unexpected {self.tokens[self.at].text!r}" if following else "unclosed action")
        if not args:
            raise self.fail("a command is missing")
        if not is_first and isinstance(args[0], Literal | Nil | Dot):
            raise self.fail("what follows | must be a function or method")
        if isinstance(args[0], Nil):
            raise self.fail("nil is not a command")
        if isinstance(args[0], Literal | Dot) and len(args) > 1:
            raise self.fail("arguments for something that is no function")
        return Command(tuple(args))

    def operand(self, level: int) -> Operand:  # noqa: C901 - the table of tokens
        """Return one operand with the fields that follow it without space."""
        token = self.next()
        match token.kind:
            case "string" | "number" | "bool":
                term: Operand = Literal(token.value)
            case "nil":
                term = Nil()
            case "dot":
                term = Dot()
            case "field":
                return Field((token.text[1:], *self.fields()))
            case "variable":
                self.known(token.text)
                return Variable(token.text, self.fields())
            case "word":
                if token.text not in self.functions:
                    raise self.fail(f'function "{token.text}" not defined')
                term = Function(token.text)
            case "open":
                term = self.pipeline("close", level + 1)
            case _:
                raise self.fail(f"unexpected {token.text!r}")
        names = self.fields()
        if not names:
            return term
        if isinstance(term, Pipeline | Function):
            return Chain(term, names)
        raise self.fail(f"unexpected .{names[0]} after {token.text}")

    def fields(self) -> tuple[str, ...]:
        names = []
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "field":
            names.append(self.next().text[1:])
        return tuple(names)
