"""Judge: the one place where the texts of a call are looked at, before they become hashes.

Detectors of injections, jailbreaks and leaks come behind the same function; today rules by keyword judge.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import re2
from msgspec import Struct

from schemas.telemetry import Guardrail

ALLOW: Final = "allow"
WARN: Final = "warn"
DENY: Final = "deny"
NO_ACTION: Final = "none"
"""Ingestion only says what it saw: the call has been made already."""


class KeywordRule(Struct, frozen=True, kw_only=True):
    """Phrases that stand for a category of risk wherever they appear as whole words, letter case and spacing aside.

    Raises ValueError without a phrase, or for one of spaces alone: it would be met everywhere.
    """

    category: str
    phrases: tuple[str, ...]
    verdict: str = DENY
    score: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what every text would meet."""
        if not self.phrases or not all(phrase.strip() for phrase in self.phrases):
            raise ValueError(f"{self.category}: a rule needs phrases, and none may be of spaces alone")


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
def _pattern(phrases: tuple[str, ...]) -> Any:
    alternatives = (r"[\pZ\s]+".join(map(re2.escape, phrase.split())) for phrase in phrases)
    return re2.compile(rf"(?i)(?:^|[^\pL\pN_])(?:{'|'.join(alternatives)})(?:$|[^\pL\pN_])")
