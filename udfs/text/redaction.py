"""Redaction: e-mail addresses, keys and card numbers blanked in a text, before anybody stores it."""

from typing import Any, Final

import re2

_EMAIL: Final = re2.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_KEY: Final = re2.compile(
    r"\b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic, Stripe, Langfuse
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # AWS
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{22,}\b"
    r"|\bAIza[A-Za-z0-9_-]{35}"  # Google
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|\bhf_[A-Za-z0-9]{30,}\b"  # Hugging Face
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # JSON Web Token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----"
)
_CARD: Final = re2.compile(r"\b[0-9](?:[ -]?[0-9]){12,18}\b")


def redacted(text: str) -> str:
    """Return the text with each of them replaced by its kind in brackets; card numbers only if their sum is right."""
    if "@" in text:
        text = _EMAIL.sub("[email]", text)
    without_keys: str = _CARD.sub(_card, _KEY.sub("[key]", text))
    return without_keys


def _card(found: Any) -> str:
    number: str = found.group()
    return "[card]" if _luhn([int(each) for each in number if each.isdigit()]) else number


def _luhn(digits: list[int]) -> bool:
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])  # noqa: PLR2004 - two digits
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def redacted_values(values: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a map with the texts in it redacted, however deep they are."""
    return None if values is None else {key: _redacted(value) for key, value in values.items()}


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    return redacted_values(value) if isinstance(value, dict) else value
