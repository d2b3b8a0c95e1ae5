"""Checks: what a rule must be beyond its schema, said so that its author can repair it."""

import re
from collections.abc import Iterator

from schemas.rule import All, Any, Condition, Not, Pattern, Rule, Threshold
from udfs.aggregates import CALL_METRICS, SUMMARY_METRIC_NAMES
from udfs.intake import EVENT_TEXT_FIELDS

WATCHED: dict[tuple[str, str], tuple[str, ...]] = {
    ("event", "model"): CALL_METRICS,
    ("event", "user"): CALL_METRICS,
    **{(level, "model"): SUMMARY_METRIC_NAMES for level in ("1s", "10s", "1m")},
    **{(level, kind): SUMMARY_METRIC_NAMES for level in ("10s", "1m") for kind in ("tenant_provider", "provider")},
}
"""The metrics that rules may look at, by `on` and `entity`."""

LEVELS_MAX = 16
PARTS_MAX = 64
STEPS_MAX = 8
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS = 7 * 86_400_000


def duration_ms(text: str) -> int:
    """Return a duration such as `30s` in milliseconds. Raises ValueError if it is longer than seven days."""
    number, unit = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", text).groups()  # type: ignore[union-attr]
    if len(number) > 12 or int(number) * _UNIT_MS[unit] > _LONGEST_MS:  # noqa: PLR2004 - digits enough for seven days
        raise ValueError(f"{text} is longer than 7d, the longest duration of a rule")
    return int(number) * _UNIT_MS[unit]


def check(rule: Rule) -> None:
    """Raise ValueError, naming the field and what to write instead, unless the rule can be evaluated."""
    watched = WATCHED.get((rule.on, rule.entity))
    if watched is None:
        places = ", ".join(f"{on} of {entity}" for on, entity in WATCHED)
        raise ValueError(f"on, entity: {rule.on} of {rule.entity} is not observed; there are {places}")
    if (rule.when is None) == (not rule.sequence):
        raise ValueError("when, sequence: give exactly one of them")
    for name in ("for_duration", "within", "refractory"):
        text = getattr(rule, name)
        try:
            duration_ms(text or "0s")
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if rule.sequence:
        _check_sequence(rule)
    elif rule.within is not None:
        raise ValueError("within: is for a sequence; for a condition that must last use for_duration or consecutive")
    for place, condition in _conditions(rule):
        parts = list(_parts(condition, place, 1))
        if len(parts) > PARTS_MAX:
            raise ValueError(f"{place}: has {len(parts)} parts; {PARTS_MAX} is the most")
        for part_place, part in parts:
            _check_part(rule, part_place, part, watched)


def _check_sequence(rule: Rule) -> None:
    if rule.within is None or duration_ms(rule.within) == 0:
        raise ValueError("within: a sequence needs a span of time, such as 5m")
    if rule.for_duration is not None or rule.consecutive != 1:
        raise ValueError("for_duration, consecutive: are for `when`; the steps of a sequence have a count each")
    if len(rule.sequence) > STEPS_MAX:
        raise ValueError(f"sequence: has {len(rule.sequence)} steps; {STEPS_MAX} is the most")
    if rule.entity in {"tenant_provider", "provider"} and rule.on == "event":
        raise ValueError("entity: sequences of events are followed per model or user")


def _conditions(rule: Rule) -> Iterator[tuple[str, Condition]]:
    if rule.when is not None:
        yield "when", rule.when
    for number, step in enumerate(rule.sequence):
        yield f"sequence[{number}].when", step.when


def _parts(condition: Condition, place: str, level: int) -> Iterator[tuple[str, Condition]]:
    if level > LEVELS_MAX:
        raise ValueError(f"{place}: conditions nest deeper than {LEVELS_MAX} levels")
    yield place, condition
    if isinstance(condition, All | Any):
        for number, part in enumerate(condition.of):
            yield from _parts(part, f"{place}.of[{number}]", level + 1)
    elif isinstance(condition, Not):
        yield from _parts(condition.of, f"{place}.of", level + 1)


def _check_part(rule: Rule, place: str, part: Condition, watched: tuple[str, ...]) -> None:
    if isinstance(part, Threshold):
        if part.metric not in watched:
            raise ValueError(
                f"{place}.metric: {part.metric!r} is not observed on {rule.on} of {rule.entity}; "
                f"there are {', '.join(watched)}"
            )
    elif isinstance(part, Pattern):
        _check_pattern(rule, place, part)
    elif isinstance(part, All | Any) and not part.of:
        raise ValueError(f"{place}.of: needs at least one condition")


def _check_pattern(rule: Rule, place: str, part: Pattern) -> None:
    if rule.on != "event":
        raise ValueError(f"{place}.field: text fields are of events; this rule is on {rule.on}")
    if part.field not in EVENT_TEXT_FIELDS:
        raise ValueError(f"{place}.field: {part.field!r} is no text field; there are {', '.join(EVENT_TEXT_FIELDS)}")
    try:
        re.compile(part.regex)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{place}.regex: is no regular expression: {error}") from None
    if re.search(r"[*+}]\s*\)\s*[*+{]|\\[1-9]|\(\?P=", part.regex):
        raise ValueError(
            f"{place}.regex: a repeat of a repeat, or a reference back, can take forever on some text; write it without"
        )
