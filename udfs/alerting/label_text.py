"""Label sets as text, in the form of Alertmanager's group keys."""

_SHORT = {'"': '\\"', "\\": "\\\\"} | {
    char: f"\\{letter}" for char, letter in zip("\a\b\f\n\r\t\v", "abfnrtv", strict=True)
}


def labels_text(labels: dict[str, str]) -> str:
    """Return `{a="b", c="d"}`, sorted. Source: prometheus/common, `model.LabelSet.String`."""
    return "{" + ", ".join(sorted(f"{name}={quoted(value)}" for name, value in labels.items())) + "}"


def quoted(text: str) -> str:
    """Return a text in double quotes, escaped as Go's `%q` does."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:  # noqa: PLR2004 - the end of ASCII
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - Go's two lengths
