"""Escaping in HTML by the place where a value is written, as html/template does it.

The place follows from the text before it. A value inside a script, or inside quotes of a style, is an error: mail needs
neither, and a wrong guess would be an injection.
"""

import re
from typing import Any, Final
from urllib.parse import unquote

from udfs.templates.printing import SafeHtml, SafeUrl, joined
from udfs.templates.problem import ValueProblem

FAILSAFE: Final = "ZgotmplZ"
"""What stands in for a value that is not safe at its place; Go's name for it."""
_TABLE: Final = {"\0": "�", '"': "&#34;", "&": "&amp;", "'": "&#39;", "+": "&#43;", "<": "&lt;", ">": "&gt;"}
_NORM: Final = {key: value for key, value in _TABLE.items() if key != "&"}
_UNQUOTED: Final = _TABLE | {
    "\0": "&#xfffd;", "\t": "&#9;", "\n": "&#10;", "\v": "&#11;", "\f": "&#12;", "\r": "&#13;", " ": "&#32;",
    "=": "&#61;", "`": "&#96;",
}  # fmt: skip
_URL_ATTRIBUTES: Final = frozenset(
    {"action", "archive", "background", "cite", "classid", "codebase", "data", "formaction", "href", "icon", "longdesc",
     "manifest", "poster", "profile", "src", "usemap", "xmlns"}
)  # fmt: skip
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_ATTRIBUTE: Final = re.compile(r"[^\s=>/\"'<]+")
_TAGS_IN_VALUE: Final = re.compile(r"<[^>]*>?")
_CSS_UNSAFE: Final = re.compile("[\\0\"'()/;@\\[\\\\\\]`{}<>]|(?<=-)-")
_CSS_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_RAW_TEXT: Final = ("script", "style", "title", "textarea")


class HtmlPlace:
    """Where in a document the next value is written; `feed` it all text that the template itself writes."""

    def __init__(self) -> None:
        self.state = "text"
        """text, tag, attribute, value, comment, or the name of an element whose text is not HTML."""
        self.element = ""
        self.attribute = ""
        self.delimiter = ""
        self.value = ""
        """The value of the attribute as far as the template has written it."""

    def feed(self, text: str) -> str:
        """Return the text to write, comments left out, and move on to where it ends."""
        parts: list[str] = []
        at = 0
        while at < len(text):
            start = at
            at = self._step(text, at)
            if self.state != "comment" and text[start : start + 4] != "<!--" and not self._closed_comment:
                parts.append(text[start:at])
            elif self.state == "comment" and text[start:at] and not text[start:at].startswith("<!--"):
                before, mark, _ = text[start:at].partition("<!--")
                if mark:
                    parts.append(before)
        return "".join(parts)

    _closed_comment = False

    def _step(self, text: str, at: int) -> int:  # noqa: PLR0911 - one return per place
        self._closed_comment = False
        match self.state:
            case "comment":
                end = text.find("-->", at)
                if end < 0:
                    return len(text)
                self.state, self._closed_comment = "text", True
                return end + 3
            case "text":
                return self._in_text(text, at)
            case "tag":
                return self._in_tag(text, at)
            case "attribute":
                return self._after_attribute(text, at)
            case "value":
                return self._in_value(text, at)
        closing = re.compile(f"</{self.state}(?![a-zA-Z0-9])", re.IGNORECASE).search(text, at)
        if closing is None:
            self.value += text[at:]
            return len(text)
        self.state, self.value = "text", ""
        return closing.start()

    def _in_text(self, text: str, at: int) -> int:
        start = text.find("<", at)
        if start < 0:
            return len(text)
        if start > at:
            return start
        if text.startswith("<!--", at):
            self.state = "comment"
            return at + 4
        tag = _TAG.match(text, at)
        if tag is None:
            return at + 1
        self.state, self.element = "tag", "" if tag[1] else tag[2].lower()
        return tag.end()

    def _in_tag(self, text: str, at: int) -> int:
        char = text[at]
        if char == ">":
            self.state = self.element if self.element in _RAW_TEXT else "text"
            self.value = ""
            return at + 1
        found = _ATTRIBUTE.match(text, at)
        if found is None:
            return at + 1
        self.attribute, self.state = found[0].lower(), "attribute"
        return found.end()

    def _after_attribute(self, text: str, at: int) -> int:
        char = text[at]
        if char.isspace():
            return at + 1
        if char != "=":
            self.state = "tag"
            return at
        rest = text[at + 1 :]
        stripped = rest.lstrip()
        at = len(text) - len(stripped)
        self.state, self.value, self.delimiter = "value", "", " "
        if stripped[:1] in ('"', "'"):
            self.delimiter = stripped[0]
            at += 1
        return at

    def _in_value(self, text: str, at: int) -> int:
        end = re.compile(re.escape(self.delimiter) if self.delimiter != " " else r"[\s>]").search(text, at)
        if end is None:
            self.value += text[at:]
            return len(text)
        self.state = "tag"
        return end.start() if self.delimiter == " " else end.end()

    def escaped(self, values: tuple[Any, ...]) -> str:  # noqa: PLR0911 - one return per place
        """Return values as they are safe at this place; raises ValueProblem where none is."""
        text = joined([each for each in values if each is not None])
        only = values[0] if len(values) == 1 else None
        match self.state:
            case "text":
                return str(only) if isinstance(only, SafeHtml) else _mapped(text, _TABLE)
            case "title" | "textarea":
                return _mapped(text, _NORM if isinstance(only, SafeHtml) else _TABLE)
            case "comment":
                return ""
            case "tag":
                return _attribute_name(text)
            case "value":
                return self._in_attribute(text, only)
            case "attribute":
                self.state, self.value, self.delimiter = "tag", "", ""
                return _attribute_name(text)
            case "style" if _outside_css_quotes(self.value):
                return _css_value(text)
        raise ValueProblem(f"a value within <{self.state}> is not supported")

    def _in_attribute(self, text: str, only: Any) -> str:
        name = self.attribute.rpartition(":")[2].removeprefix("data-")
        if name.startswith("on") or name == "srcdoc":
            raise ValueProblem(f"a value within the attribute {self.attribute} is not supported")
        if name == "style":
            if not _outside_css_quotes(self.value):
                raise ValueProblem("a value within quotes or parentheses of a style is not supported")
            text = _css_value(text)
        elif name in _URL_ATTRIBUTES or "url" in name or "uri" in name or "src" in name:
            text = self._url(text, is_safe=isinstance(only, SafeUrl))
        elif isinstance(only, SafeHtml):
            return _mapped(_TAGS_IN_VALUE.sub("", text), _NORM)
        if self.delimiter == " ":
            return _mapped(text, _UNQUOTED) or FAILSAFE
        return _mapped(text, _TABLE)

    def _url(self, text: str, *, is_safe: bool) -> str:
        if "?" in self.value or "#" in self.value:
            return _percent(text, keep_reserved=is_safe)
        scheme, colon, _ = text.partition(":")
        is_first = not self.value.strip()
        unsafe = colon and "/" not in scheme and scheme.lower() not in ("http", "https", "mailto")
        if is_first and unsafe and not is_safe:
            text = f"#{FAILSAFE}"
        return _percent(text, keep_reserved=True)


def _mapped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(char, char) for char in text)


def _percent(text: str, *, keep_reserved: bool) -> str:
    kept = "-._~" + ("!#$&*+,/:;=?@[]" if keep_reserved else "")
    parts = []
    data = text.encode()
    for position, byte in enumerate(data):
        char = chr(byte)
        is_escape = keep_reserved and char == "%" and re.fullmatch(b"[0-9a-fA-F]{2}", data[position + 1 : position + 3])
        if is_escape or char in kept or (char.isascii() and char.isalnum()):
            parts.append(char)
        else:
            parts.append(f"%{byte:02x}")
    return "".join(parts)


def _css_value(text: str) -> str:
    name = _CSS_NAME.sub("", text).lower()
    if _CSS_UNSAFE.search(text) or "expression" in name or "mozbinding" in name:
        return FAILSAFE
    return text


def _outside_css_quotes(text: str) -> bool:
    plain = re.sub(r"\"[^\"]*\"|'[^']*'|/\*.*?\*/", "", unquote(text), flags=re.DOTALL)
    return not re.search(r"[\"']|/\*", plain) and plain.count("(") == plain.count(")")


def _attribute_name(text: str) -> str:
    name = text.lower()
    special = name.startswith(("on", "xmlns")) or name in {"style", "srcdoc", "srcset", *_URL_ATTRIBUTES}
    return FAILSAFE if not re.fullmatch("[a-z0-9-]+", name) or special else text
