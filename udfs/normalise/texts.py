"""Texts: prompts and answers judged, then turned into keyed hashes and lengths."""

import hmac
from typing import Any

from udfs.normalise.context import Context
from udfs.text.judge import ALLOW, judge


def without_texts(fields: dict[str, Any], context: Context) -> None:
    """Put verdict, hash and length in the place of texts, beside them if the tenant opted in."""
    texts = [text for name in ("prompt", "response") if (text := fields.get(name))]
    if not texts:
        return
    verdict = judge(texts, context.text_rules)
    if verdict is not None and ("guardrail" not in fields or verdict.verdict != ALLOW):
        fields["guardrail"] = verdict
    for name in ("prompt", "response"):
        text = fields.get(name)
        if not text:
            continue
        fields[f"{name}_hash"] = keyed_hash(text, context.privacy.hash_key)
        fields[f"{name}_length"] = len(text)
        if not context.privacy.keep_texts:
            del fields[name]


def keyed_hash(text: str, key: bytes) -> str:
    """Return what stands for a text: the same for the same text of a tenant, and telling nothing without its key."""
    return f"hmac-sha256:{hmac.digest(key, text.encode(), 'sha256')[:16].hex()}"
