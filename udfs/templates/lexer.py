"""Tokens of a template: text, and what stands between `{{` and `}}`."""

import re
from typing import Any, Final, NamedTuple

from udfs.templates.problem import TemplateError

KEYWORDS: Final = frozenset(
    {"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"},
)
_SPACE: Final = " \t\r\n"
_COMMENT: Final = re.compile(r"\{\{(?P<left>-[ \t\r\n]+)?/\*.*?\*/(?P<right>[ \t\r\n]+-)?\}\}", re.DOTALL)
_TOKEN: Final = re.compile(
    r"""
    (?P<right>[ \t\r\n]+-\}\}|\}\})
    |(?P<space>[ \t\r\n]+)
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
        |(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)(?!\w))
    |(?P<field>\.\w+)
    |(?P<dot>\.)
    |(?P<variable>\$\w*)
    |(?P<word>\w+)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\[^\n]+?)')
    |(?P<declare>:=)
    |(?P<assign>=)
    |(?P<pipe>\|)
    |(?P<comma>,)
    |(?P<open>\()
    |(?P<close>\))
    """,
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL
)
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip
_ENDED: Final = frozenset({"field", "variable", "word"})
_MAY_FOLLOW: Final = frozenset({"space", "right", "field", "dot", "comma", "pipe", "declare", "close", "open"})


class Token(NamedTuple):
    """A piece of a template; `value` is what a literal stands for."""

    kind: str
    text: str
    line: int
    value: Any = None


def tokens_of(name: str, source: str) -> list[Token]:
    """Return the tokens of a template, text among them; raises TemplateError for what is no token."""
    found: list[Token] = []
    at, line = 0, 1
    trim_left = False
    while True:
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        lines = text.count("\n")
        if trim_left:
            text = text.lstrip(_SPACE)
        if start >= 0 and source[start + 2 : start + 3] == "-" and source[start + 3 : start + 4] in tuple(_SPACE):
            text = text.rstrip(_SPACE)
        if text:
            found.append(Token("text", text, line))
        line += lines
        if start < 0:
            return found
        at, line, trim_left = _action(name, source, start, line, found)


def _action(  # noqa: C901, PLR0912 - one branch per mistake
    name: str, source: str, start: int, line: int, found: list[Token]
) -> tuple[int, int, bool]:
    """Append the tokens of one action; return where text goes on, its line, and whether it is trimmed."""
    comment = _COMMENT.match(source, start)
    if comment is not None:
        return comment.end(), line + comment[0].count("\n"), comment["right"] is not None
    found.append(Token("left", "{{", line))
    at = start + 2
    if source[at : at + 1] == "-" and source[at + 1 : at + 2] in tuple(_SPACE) and at + 1 < len(source):
        at += 1
    if source[at:].lstrip(_SPACE).startswith("/*"):
        raise TemplateError(name, line, "a comment must be the whole action and end with */}}")
    depth = 0
    previous = "space"
    while True:
        token = _TOKEN.match(source, at)
        if token is None:
            if at >= len(source):
                raise TemplateError(name, line, "unclosed action")
            if source[at] in "\"'`":
                raise TemplateError(name, line, "unterminated quoted text")
            raise TemplateError(name, line, f"unexpected character {source[at]!r} in an action")
        kind, text = str(token.lastgroup), token[0]
        if previous in _ENDED and kind not in _MAY_FOLLOW:
            raise TemplateError(name, line, f"unexpected {text!r} after a name")
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
            if depth < 0:
                raise TemplateError(name, line, "unexpected right parenthesis")
        elif kind == "right" and depth:
            raise TemplateError(name, line, "unclosed left parenthesis")
        found.append(_valued(name, kind, text, line))
        previous = kind
        line += text.count("\n")
        at = token.end()
        if kind == "right":
            return at, line, text.endswith("-}}")


def _valued(name: str, kind: str, text: str, line: int) -> Token:  # noqa: PLR0911 - a table
    if kind == "number":
        return Token(kind, text, line, _number(name, text, line))
    if kind == "raw":
        return Token("string", text, line, text[1:-1])
    if kind == "string":
        return Token(kind, text, line, _unquoted(name, text[1:-1], line))
    if kind == "char":
        char = _unquoted(name, text[1:-1], line)
        if len(char) != 1:
            raise TemplateError(name, line, f"malformed character constant {text}")
        return Token("number", text, line, ord(char))
    if kind == "word":
        if text in ("true", "false"):
            return Token("bool", text, line, text == "true")
        if text == "nil" or text in KEYWORDS:
            return Token(text if text == "nil" else "keyword", text, line)
    return Token(kind, text, line)


def _number(name: str, text: str, line: int) -> int | float:
    plain = text.replace("_", "")
    try:
        digits = plain.lstrip("+-")
        if re.fullmatch(r"0[0-7]+", digits):
            return int(plain, 8)
        if re.fullmatch(r"0[xXbBoO].*", digits):
            return int(plain, 0)
        if re.fullmatch(r"[0-9]+", digits):
            return int(plain)
        value = float(plain)
    except ValueError:
        raise TemplateError(name, line, f"bad number {text}") from None
    if abs(value) == float("inf"):
        raise TemplateError(name, line, f"bad number {text}")
    return value


def _unquoted(name: str, text: str, line: int) -> str:
    def replaced(found: re.Match[str]) -> str:
        simple, two, four, eight, octal, other = found.groups()
        if other is not None:
            raise TemplateError(name, line, f"unknown escape \\{other} in quoted text")
        if simple is not None:
            return _SIMPLE[simple]
        code = int(octal, 8) if octal else int(two or four or eight, 16)
        try:
            return chr(code)
        except (ValueError, OverflowError):
            raise TemplateError(name, line, "an escape in quoted text is no character") from None

    return _ESCAPE.sub(replaced, text)
