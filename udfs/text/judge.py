"""Judge: the one place where the texts of a call are looked at, before they become hashes.

Detectors of injections, jailbreaks and leaks come behind the same function; today rules by keyword judge.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from schemas.telemetry import Guardrail

ALLOW: Final = "allow"
WARN: Final = "warn"
DENY: Final = "deny"
NO_ACTION: Final = "none"
"""Ingestion only says what it saw: the call has been made already."""


class KeywordRule(Struct, frozen=True, kw_only=True):
    """Phrases that stand for a category of risk wherever they appear as whole words, letter case and spacing aside."""

    category: str
    phrases: tuple[str, ...]
    verdict: str = DENY
    score: float = 1.0


def judge(texts: Sequence[str], rules: tuple[KeywordRule, ...]) -> Guardrail | None:
    """Return the verdict of the rule with the highest score that one of the texts meets.

    `allow` with a score of 0 if none does; None without a text or without a rule: then nobody has judged.
    """
    if not texts or not rules:
        return None
    met = [rule for rule in rules if any(_pattern(rule.phrases).search(text) for text in texts)]
    if not met:
        return Guardrail(verdict=ALLOW, action=NO_ACTION, score=0.0)
    worst = max(met, key=lambda rule: rule.score)
    return Guardrail(verdict=worst.verdict, category=worst.category, action=NO_ACTION, score=worst.score)


@lru_cache(maxsize=256)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = (r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)", re.IGNORECASE)
