"""Refusal: why bytes are no record, in the closed set of reasons and one sentence that names the field."""

import re
from typing import Final

import msgspec

from schemas.dead_letter import RejectReason

_PLACE: Final = re.compile(r"^(?P<problem>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<field>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<field>[^`]{1,64})[^`]*`$")
_GOT: Final = re.compile(r"^Expected `(?P<wanted>[^`]*)`, got `(?P<found>[^`]*)`$")
_BRACKETS: Final = re.compile(rb"[^\[\]{}]+")
_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_OPEN: Final = b"[{"


class DecodeError(ValueError):
    """Bytes that are no record of the wanted kind. `detail` names a field and a problem, never content."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        """Take the reason and one sentence."""
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


def explain(problem: msgspec.ValidationError) -> DecodeError:
    """Return the refusal that a validation error of msgspec stands for."""
    found = _PLACE.match(str(problem))
    text, field = (found["problem"], found["path"] or "") if found else (str(problem), "")
    at = f"{field}: " if field else ""
    reason, detail = RejectReason.OUT_OF_RANGE, f"{at}{text[:1].lower()}{text[1:].replace('`', '')}"
    if missing := _MISSING.match(text):
        name = f"{field}.{missing['field']}" if field else missing["field"]
        reason, detail = RejectReason.MISSING_FIELD, f"{name}: required, but missing"
    elif text.startswith(("Invalid enum value", "Invalid value")):
        reason, detail = RejectReason.WRONG_TYPE, f"{at}not one of the known values"
    elif unknown := _UNKNOWN.match(text):
        reason, detail = RejectReason.WRONG_TYPE, f"{at}no field of the name {unknown['field']}"
    elif got := _GOT.match(text):
        reason, detail = RejectReason.WRONG_TYPE, f"{at}expected {got['wanted']}, got {got['found']}"
        if not field:
            reason, detail = RejectReason.NOT_AN_OBJECT, f"expected an object, got {got['found']}"
        elif got["found"] == "null":
            # A field that may be null says so in what was expected, so this one is required.
            reason, detail = RejectReason.MISSING_FIELD, f"{field}: required, but null"
    return DecodeError(reason, detail)


def is_too_deep(text: bytes, levels: int) -> bool:
    """Return whether JSON nests more than `levels` objects and arrays; what is not JSON is judged up to its fault."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    depth = 0
    for bracket in _BRACKETS.sub(b"", _TEXT.sub(b"", text)):
        depth += 1 if bracket in _OPEN else -1
        if depth > levels:
            return True
    return False
