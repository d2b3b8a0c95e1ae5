"""Inhibition: an alert that fires keeps notices of others back."""

from msgspec import Struct

from udfs.alerting.alert import Alert
from udfs.alerting.matcher import Matcher, all_match


class InhibitRule(Struct, frozen=True, kw_only=True):
    """While an alert that matches the source fires, alerts that match the target and agree in `equal` are kept back.

    A label that is missing is an empty one, so that two alerts without it agree.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()
    name: str = ""


class Inhibition:
    """The alerts that inhibit, kept by rule and by the values of the labels that have to agree."""

    def __init__(self, rules: tuple[InhibitRule, ...]) -> None:
        self._rules = rules
        self._sources: tuple[dict[tuple[str, ...], dict[str, _Source]], ...] = tuple({} for _ in rules)

    def learn(self, fingerprint: str, alert: Alert) -> None:
        """Take an alert, which has an end, into account."""
        for rule, sources in zip(self._rules, self._sources, strict=True):
            if all_match(rule.source, alert.labels):
                bucket = sources.setdefault(_equal(rule, alert.labels), {})
                bucket[fingerprint] = _Source(alert.ends_at_ms or 0, all_match(rule.target, alert.labels))

    def inhibitor(self, labels: dict[str, str], now_ms: int) -> tuple[str, str] | None:
        """Return the fingerprint of an alert that inhibits these labels and the rule's name, or None.

        An alert that matches both sides of a rule cannot be inhibited by another one that does. Source: Alertmanager,
        `inhibit.InhibitRule.hasEqual`; of several inhibitors the first one to have come is named.
        """
        for rule, sources in zip(self._rules, self._sources, strict=True):
            bucket = sources.get(_equal(rule, labels))
            if not bucket or not all_match(rule.target, labels):
                continue
            two_sided = all_match(rule.source, labels)
            ended = []
            found = None
            for fingerprint, source in bucket.items():
                if source.ends_at_ms <= now_ms:
                    ended.append(fingerprint)
                elif not (two_sided and source.is_target):
                    found = fingerprint
                    break
            for fingerprint in ended:
                del bucket[fingerprint]
            if found is not None:
                return found, rule.name
        return None


class _Source(Struct, frozen=True):
    ends_at_ms: int
    is_target: bool


def _equal(rule: InhibitRule, labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)
