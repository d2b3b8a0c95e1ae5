"""Matchers from text, as Alertmanager reads them from 0.25 on: the classic syntax and the one for any UTF-8 name."""

import re

from udfs.alerting.matcher import Matcher, MatchKind, anchored

_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL | re.ASCII)
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<brace>[{}])|(?P<kind>=~|!~|!=|=)|(?P<comma>,)|
    "(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s{}!=~,\\"'`]+)|(?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL
)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


def matchers_of(text: str) -> tuple[Matcher, ...]:
    """Return the matchers in a text such as `{a="b",c=~"d.*"}`; the braces may be left out.

    Where both syntaxes can read it and disagree, the classic one wins, as it does in Alertmanager unless a feature flag
    says otherwise. Raises ValueError with the reason if neither can read it. Source: Alertmanager 0.27,
    `matcher/compat.FallbackMatchersParser`.
    """
    try:
        classic = classic_matchers(text)
    except ValueError as error:
        try:
            return utf8_matchers(text)
        except ValueError:
            raise error from None
    return classic


def classic_matchers(text: str) -> tuple[Matcher, ...]:
    """Return the matchers by the syntax before 0.27. Source: Alertmanager, `pkg/labels.ParseMatchers`."""
    inner = text.removeprefix("{").removesuffix("}")
    tokens = _split(inner)
    return tuple(classic_matcher(token) for token in tokens)


def classic_matcher(text: str) -> Matcher:
    """Return the one matcher in a text. Source: Alertmanager, `pkg/labels.ParseMatcher`."""
    found = _CLASSIC.fullmatch(text)
    if found is None:
        raise ValueError(f"bad matcher format: {text}")
    name, kind, raw = found.groups()
    return _matcher(name, MatchKind(kind), _classic_value(raw))


def utf8_matchers(text: str) -> tuple[Matcher, ...]:
    """Return the matchers by the syntax of 0.27. Source: Alertmanager, `matcher/parse`."""
    tokens = list(_tokens(text))
    kinds = [kind for kind, _ in tokens]
    at = 0
    opened = kinds[0] == "brace" and tokens[0][1] == "{"
    if opened:
        at = 1
    matchers: list[Matcher] = []
    while kinds[at] in {"plain", "quoted"}:
        name = tokens[at][1]
        if kinds[at + 1] != "kind":
            raise ValueError(f"expected =, !=, =~ or !~ after {name!r} in {text}")
        if kinds[at + 2] not in {"plain", "quoted"}:
            raise ValueError(f"expected a value for {name!r} in {text}")
        matchers.append(_matcher(name, MatchKind(tokens[at + 1][1]), tokens[at + 2][1]))
        at += 3
        if kinds[at] != "comma":
            break
        at += 1
    closed = tokens[at] == ("brace", "}")
    if closed != opened:
        raise ValueError(f"braces do not match in {text}")
    if kinds[at + closed] != "end":
        raise ValueError(f"unexpected {tokens[at + closed][1]!r} in {text}")
    return tuple(matchers)


def _matcher(name: str, kind: MatchKind, value: str) -> Matcher:
    if kind in {MatchKind.REGEX, MatchKind.NOT_REGEX}:
        anchored(value)
    return Matcher(name, kind, value)


def _split(text: str) -> list[str]:
    tokens: list[str] = []
    token = ""
    quoted = escaped = False
    for character in text:
        if character == "," and not quoted:
            tokens.append(token)
            token = ""
            continue
        if character == '"':
            quoted = quoted if escaped else not quoted
            escaped = False
        else:
            escaped = character == "\\" and not escaped
        token += character
    return [*tokens, token.strip()] if token.strip() else tokens


def _classic_value(raw: str) -> str:
    quoted = raw.startswith('"')
    inner = raw[1:] if quoted else raw
    value = ""
    at = 0
    while at < len(inner):
        character = inner[at]
        is_last = at == len(inner) - 1
        if character == "\\" and not is_last:
            following = inner[at + 1]
            # A backslash that escapes nothing is meant as it stands.
            value += {"n": "\n", '"': '"', "\\": "\\"}.get(following, "\\" + following)
            at += 2
            continue
        if character == '"':
            if not (quoted and is_last):
                raise ValueError(f"matcher value contains unescaped double quote: {raw}")
            return value
        value += character
        at += 1
    if quoted:
        raise ValueError(f"matcher value contains unescaped double quote: {raw}")
    return value


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    while True:
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"unexpected {text[at:].strip()[:1]!r} in {text}")
        kind = found.lastgroup or "end"
        value = found[kind]
        tokens.append((kind, _unquoted(value) if kind == "quoted" else value))
        if kind == "end":
            # What looks ahead meets the end again.
            return [*tokens, tokens[-1], tokens[-1]]
        at = found.end()


def _unquoted(text: str) -> str:
    if "\n" in text:
        raise ValueError("a quoted text ends on its own line; write a line break as \\n")
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    letter, byte, short, long, octal, unknown = found.groups()
    if unknown is not None:
        raise ValueError(f"\\{unknown} is no escape")
    if letter is not None:
        return _ESCAPED[letter]
    if octal is not None:
        return chr(int(octal, 8))
    return chr(int(byte or short or long, 16))
