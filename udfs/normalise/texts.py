"""Texts: prompts and answers judged, then turned into keyed hashes and lengths."""

import hmac
from typing import Any, Final

from schemas.telemetry import COUNT_MAX, Guardrail
from udfs.normalise.context import Context, Privacy
from udfs.text.judge import ALLOW, judge
from udfs.text.redaction import redacted

KEPT_MAX: Final = 80_000
"""Characters of a text that are kept of a tenant who opted in: two of them, escaped, fit into one event."""
_TEXTS: Final = ("prompt", "response")


def settle_texts(fields: dict[str, Any], context: Context) -> None:
    """Put verdict, hash and length in the place of texts, beside them if the tenant opted in.

    Our own verdict takes the place of a reported one unless it is that all is well.
    """
    if "prompt" not in fields and "response" not in fields:
        return
    texts = {name: text for name in _TEXTS if (text := fields.get(name))}
    if not texts:
        return
    verdict = judge(tuple(texts.values()), context.text_rules)
    if verdict is not None and (verdict.verdict != ALLOW or fields.get("guardrail") is None):
        fields["guardrail"] = verdict
    for name, text in texts.items():
        fields[f"{name}_hash"] = keyed_hash(text, context.privacy.hash_key)
        fields[f"{name}_length"] = min(len(text), COUNT_MAX)
        fields[name] = kept(text, context.privacy)


def kept(text: str, privacy: Privacy) -> str | None:
    """Return what is stored of a text."""
    if not privacy.keep_texts:
        return None
    return redacted(text)[:KEPT_MAX] if privacy.redact else text[:KEPT_MAX]


def keyed_hash(text: str, key: bytes) -> str:
    """Return what stands for a text: the same for the same text of a tenant, and telling nothing without its key."""
    return f"hmac-sha256:{hmac.digest(key, text.encode(), 'sha256')[:16].hex()}"


def reported_guardrail(fields: dict[str, Any]) -> Guardrail | None:
    """Return the verdict of a guard that judged the call before it came here, taken out of the fields."""
    found = {
        name: fields.pop(f"guardrail_{name}")
        for name in ("verdict", "category", "action", "score")
        if f"guardrail_{name}" in fields
    }
    return Guardrail(**found) if found else None
