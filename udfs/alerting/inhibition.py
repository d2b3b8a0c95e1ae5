"""Inhibition: an alert that fires keeps notices of others back."""

from msgspec import Struct

from udfs.alerting.alert import Alert
from udfs.alerting.matcher import Matcher, all_match


class InhibitSource(Struct, frozen=True, kw_only=True):
    """Which alerts inhibit, and the labels in which they have to agree with those that they inhibit.

    A label that is missing is an empty one, so that two alerts without it agree.
    """

    matchers: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()


class InhibitRule(Struct, frozen=True, kw_only=True):
    """While an alert of every source fires, alerts that match the target are kept back."""

    sources: tuple[InhibitSource, ...]
    """At least one."""
    target: tuple[Matcher, ...]
    name: str = ""


class Inhibitor(Struct, frozen=True):
    """Who inhibits an alert: fingerprint of an alert that fires, and the name of the rule, if it has one."""

    fingerprint: str
    rule: str


class Inhibition:
    """The alerts that inhibit, kept by source and by the values of the labels that have to agree."""

    def __init__(self, rules: tuple[InhibitRule, ...]) -> None:
        self._rules = rules
        self._firing: dict[tuple[int, int], dict[tuple[str, ...], dict[str, _Firing]]] = {
            (number, place): {} for number, rule in enumerate(rules) for place in range(len(rule.sources))
        }

    def learn(self, fingerprint: str, alert: Alert) -> None:
        """Take an alert, which has an end, into account."""
        for number, rule in enumerate(self._rules):
            for place, source in enumerate(rule.sources):
                if all_match(source.matchers, alert.labels):
                    alike = self._firing[number, place].setdefault(_equal(source, alert.labels), {})
                    alike[fingerprint] = _Firing(alert.ends_at_ms or 0, all_match(rule.target, alert.labels))

    def inhibitor(self, labels: dict[str, str], now_ms: int) -> Inhibitor | None:
        """Return who inhibits an alert with these labels, or None.

        An alert that matches both sides of a rule cannot be inhibited by another one that does. Source: Alertmanager,
        `inhibit.InhibitRule.hasEqual`; of several inhibitors the first one to have come is named.
        """
        for number, rule in enumerate(self._rules):
            found = self._first(number, 0, labels, now_ms)
            if found is None or not all_match(rule.target, labels):
                continue
            if all(self._first(number, place, labels, now_ms) for place in range(1, len(rule.sources))):
                return Inhibitor(found, rule.name)
        return None

    def _first(self, number: int, place: int, labels: dict[str, str], now_ms: int) -> str | None:
        source = self._rules[number].sources[place]
        by_equal = self._firing[number, place]
        equal = _equal(source, labels)
        alike = by_equal.get(equal)
        if alike is None:
            return None
        is_two_sided = all_match(source.matchers, labels)
        over = []
        found = None
        for fingerprint, firing in alike.items():
            if firing.ends_at_ms <= now_ms:
                over.append(fingerprint)
            elif not (is_two_sided and firing.is_target):
                found = fingerprint
                break
        for fingerprint in over:
            del alike[fingerprint]
        if not alike:
            del by_equal[equal]
        return found


class _Firing(Struct, frozen=True):
    ends_at_ms: int
    is_target: bool


def _equal(source: InhibitSource, labels: dict[str, str]) -> tuple[str, ...]:
    return tuple([labels.get(name, "") for name in source.equal])  # a list is quicker than a generator here
