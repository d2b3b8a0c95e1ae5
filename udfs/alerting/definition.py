"""Alert definitions put to use: what one looks at, and checks beyond its schema."""

import operator
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Final

import msgspec
import re2
from msgspec import Struct

from schemas.alert import AlertAggregation, AlertDefinition, AnomalyTrigger, MetricTrigger, PatternTrigger
from schemas.anomaly import Severity
from schemas.rule import Operator
from udfs.aggregates import SUMMARY_METRIC_NAMES
from udfs.alerting.active_hours import check_hours
from udfs.alerting.matcher import Anchored
from udfs.alerting.observation import ANOMALY_FIELDS, SUMMARY_FIELDS, Observation
from udfs.alerting.shield import check_shield
from udfs.alerting.wall_clock import duration_ms

COMPARE: Final[dict[Operator, Callable[[float, float], bool]]] = {
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
}
_MINUTE_MS: Final = 60_000
_SHORTEST_MS: Final = 10_000
ONCE: Final = AlertAggregation(window="5m")
"""Of a definition without aggregation: it fires at the first that matches, and holds for five minutes."""


class NotificationConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `config` of the action `notification` may say."""

    receivers: tuple[str, ...] = ()
    """Who is told; without any, whoever the routes say."""
    severity: Severity | None = None
    """Label of the alert; by default the greatest of the anomalies that made it fire, else `warning`."""


def notification_of(definition: AlertDefinition) -> NotificationConfig:
    """Return what the definition's notification says; raises ValueError for one that it has no words for.

    Without one it is told of as any other alert: nothing is done about somebody's traffic unheard.
    """
    found = (each.config for each in definition.actions if each.type == "notification")
    return msgspec.convert(next(found, {}), NotificationConfig)


def check_definition(definition: AlertDefinition, receivers: Collection[str]) -> None:
    """Raise ValueError, naming the field and what to write instead, unless dispatch can carry the definition out."""
    _check_actions(definition, receivers)
    trigger = definition.conditions
    if trigger.aggregation is not None:
        length_ms = _length("conditions.aggregation.window", trigger.aggregation.window)
        if length_ms < _SHORTEST_MS:
            raise ValueError(f"conditions.aggregation.window: {trigger.aggregation.window} is shorter than 10s")
    if isinstance(trigger, MetricTrigger):
        _one_of("conditions.metric", trigger.metric, SUMMARY_METRIC_NAMES)
    if isinstance(trigger, PatternTrigger):
        _check_pattern(trigger)
    if definition.throttling is not None:
        _length("throttling.max_frequency", definition.throttling.max_frequency)
        fields = SUMMARY_FIELDS if isinstance(trigger, MetricTrigger) else ANOMALY_FIELDS
        for number, name in enumerate(definition.throttling.grouping):
            _one_of(f"throttling.grouping[{number}]", name, fields)
    if definition.keep_firing_for is not None:
        _length("keep_firing_for", definition.keep_firing_for)
    if definition.schedule is not None:
        try:
            check_hours(definition.schedule)
        except ValueError as error:
            raise ValueError(f"schedule.{error}") from None


def _check_actions(definition: AlertDefinition, receivers: Collection[str]) -> None:
    notifications = [number for number, each in enumerate(definition.actions) if each.type == "notification"]
    for number, action in enumerate(definition.actions):
        place = f"actions[{number}]"
        if action.type == "shield":
            try:
                check_shield(definition, action)
            except ValueError as error:
                raise ValueError(f"{place}.{error}") from None
        elif action.type == "notification" and number != notifications[0]:
            raise ValueError(f"{place}.type: one notification is enough; name all receivers in it")
    if notifications:
        _check_notification(definition, f"actions[{notifications[0]}].config", receivers)


def _check_notification(definition: AlertDefinition, place: str, receivers: Collection[str]) -> None:
    try:
        named = notification_of(definition).receivers
    except msgspec.ValidationError as error:
        raise ValueError(f"{place}: {error}") from None
    for receiver in named:
        if receiver not in receivers:
            known = ", ".join(sorted(receivers))
            raise ValueError(f"{place}.receivers: there is no receiver {receiver}; there are {known}")


def _check_pattern(trigger: PatternTrigger) -> None:
    _one_of("conditions.field", trigger.field, ANOMALY_FIELDS)
    try:
        pattern(trigger.regex)
    except ValueError as error:
        raise ValueError(f"conditions.regex: {error}") from None


def wants(definition: AlertDefinition, seen: Observation) -> bool:
    """Return whether an observation counts for a definition."""
    trigger = definition.conditions
    filters, fields = trigger.filters, seen.fields
    if definition.tenant_id is not None and fields.get("tenant_id") != definition.tenant_id:
        return False
    if isinstance(trigger, MetricTrigger):
        if seen.window != level_of(trigger) or fields.get("metric") != trigger.metric:
            return False
    elif seen.severity is None or seen.value < filters.score_threshold:
        return False
    if isinstance(trigger, PatternTrigger) and pattern(trigger.regex).search(fields.get(trigger.field, "")) is None:
        return False
    wanted = (
        (filters.severity, seen.severity),
        (filters.detector_ids, fields.get("detector_id")),
        (filters.application_ids, fields.get("application_id")),
        (filters.tenant_ids, fields.get("tenant_id")),
    )
    return all(not allowed or value in allowed for allowed, value in wanted)


@lru_cache(maxsize=1_000)
def pattern(regex: str) -> Anchored:
    """Return an expression compiled to be searched. Raises ValueError if RE2 refuses it."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled: Anchored = re2.compile(regex, options)
    except re2.error:
        raise ValueError(f"{regex!r} is no regular expression (RE2)") from None
    return compiled


def level_of(trigger: MetricTrigger) -> str:
    """Return the length of the summaries that count: 1 min, or 10 s if the window is shorter than that."""
    return "1m" if duration_ms(trigger.aggregation.window) >= _MINUTE_MS else "10s"


def aggregation_of(definition: AlertDefinition) -> AlertAggregation:
    """Return what makes a definition fire."""
    trigger = definition.conditions
    if isinstance(trigger, AnomalyTrigger | PatternTrigger):
        return trigger.aggregation or ONCE
    return trigger.aggregation


def _one_of(place: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(f"{place}: {name} is no field here; there are {', '.join(known)}")


def _length(place: str, text: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
