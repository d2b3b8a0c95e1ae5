"""Alert definitions over time: observations in, alerts that begin and end out."""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final

from msgspec import Struct, msgpack
from msgspec.structs import replace

from schemas.alert import AlertDefinition, MetricTrigger
from schemas.anomaly import SEVERITY_RANK, Severity
from udfs.alerting.active_hours import next_active_at_ms
from udfs.alerting.alert import Alert
from udfs.alerting.definition import COMPARE, aggregation_of, notification_of, wants
from udfs.alerting.observation import Observation
from udfs.alerting.records import Record
from udfs.alerting.sliding_window import SlidingWindow, added, aggregate, width_ms
from udfs.alerting.wall_clock import duration_ms

WATCHED: Final = "watched"
"""Kind of the records, by definition and group."""
GROUPS_MAX: Final = 10_000
"""Groups of one definition that are watched at once; beyond it, those that were fed least recently are let go."""
_OPEN_MS: Final = 365 * 86_400_000
"""An alert that fires has an end as far away as this; that it is over is said in time."""


class Watched(Struct, frozen=True, array_like=True):
    """One group of one definition; at most 60 buckets, hence below 4 kB."""

    group: dict[str, str]
    window: SlidingWindow
    newest_at_ms: int
    """Of what was observed, by its own time."""
    fed_at_ms: int
    """When the last observation came, by the clock."""
    severity: Severity
    met_at_ms: int = 0
    """When the condition last held, by the clock."""
    alert: Alert | None = None
    """The alert that fires, None if none does."""
    opened_at_ms: int | None = None
    """When it last began to fire, by the clock; what `max_frequency` counts from."""
    look_at_ms: int = 0
    """When time alone may change something next."""


class Definitions:
    """All definitions in force and the groups they watch.

    Time passes for a group with its observations, and with the clock between them. So definitions fire for what is read
    late, too, and for as long as if it had been read in time.
    """

    def __init__(self, definitions: Iterable[AlertDefinition], records: Iterable[Record] = ()) -> None:
        """Go on from records; `take_definitions` says what has become of definitions that are no more."""
        self.definitions = {each.alert_id: each for each in definitions if each.enabled}
        self._watched: dict[str, dict[str, Watched]] = {}
        self._wakes: list[tuple[int, str, str]] = []
        self._wake_of: dict[tuple[str, str], int] = {}
        self._changed: dict[tuple[str, str], None] = {}
        for kind, key, value in records:
            if kind == WATCHED and value is not None:
                alert_id, _, group = key.partition("\n")
                self._watched.setdefault(alert_id, {})[group] = watched = _DECODER.decode(value)
                self._wake(alert_id, group, watched.look_at_ms)

    def take_definitions(self, definitions: Iterable[AlertDefinition], now_ms: int) -> list[Alert]:
        """Go on under other definitions; return the ends of alerts whose definition is gone or another."""
        before, self.definitions = self.definitions, {each.alert_id: each for each in definitions if each.enabled}
        ended: list[Alert] = []
        for alert_id, groups in list(self._watched.items()):
            if alert_id in self.definitions and before.get(alert_id) in (None, self.definitions[alert_id]):
                continue
            for name, each in list(groups.items()):
                self._forget(alert_id, name, each, now_ms, ended)
            del self._watched[alert_id]
        return ended

    def take(self, seen: Observation, now_ms: int) -> list[Alert]:
        """Take an observation; return alerts that begin or end by it."""
        found: list[Alert] = []
        for definition in self.definitions.values():
            if wants(definition, seen):
                self._feed(definition, seen, now_ms, found)
        return found

    def advance(self, now_ms: int) -> list[Alert]:
        """Let time pass; return alerts that begin or end by it."""
        found: list[Alert] = []
        while self._wakes and self._wakes[0][0] <= now_ms:
            at_ms, alert_id, name = heappop(self._wakes)
            if self._wake_of.get((alert_id, name)) != at_ms:
                continue
            del self._wake_of[alert_id, name]
            watched = self._watched.get(alert_id, {}).get(name)
            definition = self.definitions.get(alert_id)
            if watched is not None and definition is not None:
                self._judge(definition, name, watched, now_ms, found)
            elif watched is not None:
                # Its definition went while this was not running.
                self._forget(alert_id, name, watched, now_ms, found)
        return found

    @property
    def wants_summaries(self) -> bool:
        """Whether a definition looks at summaries."""
        return any(isinstance(each.conditions, MetricTrigger) for each in self.definitions.values())

    @property
    def next_at_ms(self) -> int | None:
        """When `advance` has something to do next, None if never."""
        return self._wakes[0][0] if self._wakes else None

    def take_changes(self) -> list[Record]:
        """Return what has changed since this was last asked, to be kept."""
        changed, self._changed = self._changed, {}
        return [Record(WATCHED, f"{alert_id}\n{name}", self._bytes(alert_id, name)) for alert_id, name in changed]

    def _bytes(self, alert_id: str, name: str) -> bytes | None:
        watched = self._watched.get(alert_id, {}).get(name)
        return None if watched is None else msgpack.encode(watched)

    def _feed(self, definition: AlertDefinition, seen: Observation, now_ms: int, found: list[Alert]) -> None:
        grouping = definition.throttling.grouping if definition.throttling is not None else ()
        group = {field: seen.fields.get(field, "") for field in grouping}
        name = "\x1f".join(group.values())
        groups = self._watched.setdefault(definition.alert_id, {})
        severity = seen.severity or Severity.WARNING
        known = groups.pop(name, None) or Watched(group, SlidingWindow(), seen.at_ms, now_ms, severity)
        if known.alert is None and SEVERITY_RANK[severity] > SEVERITY_RANK[known.severity]:
            known = replace(known, severity=severity)
        groups[name] = watched = replace(
            known,
            window=added(known.window, duration_ms(aggregation_of(definition).window), seen.at_ms, seen.value),
            newest_at_ms=max(known.newest_at_ms, seen.at_ms),
            fed_at_ms=now_ms,
        )
        self._judge(definition, name, watched, now_ms, found)
        if len(groups) > GROUPS_MAX:
            oldest = next(iter(groups))
            self._forget(definition.alert_id, oldest, groups[oldest], now_ms, found)

    def _judge(self, definition: AlertDefinition, name: str, watched: Watched, now_ms: int, found: list[Alert]) -> None:
        """Begin or end the alert of a group, and say when to look again."""
        aggregation = aggregation_of(definition)
        length_ms = duration_ms(aggregation.window)
        present_ms = watched.newest_at_ms + max(0, now_ms - watched.fed_at_ms)
        value = aggregate(watched.window, length_ms, present_ms, aggregation.function)
        wake_at_ms = now_ms + width_ms(length_ms)
        if value is not None and COMPARE[aggregation.operator](value, aggregation.threshold):
            watched = replace(watched, met_at_ms=now_ms)
            may_ms = _not_before_ms(definition, watched, now_ms)
            if watched.alert is None and may_ms <= now_ms:
                begun = _alert(definition, watched, now_ms, value)
                found.append(begun)
                watched = replace(watched, alert=begun, opened_at_ms=now_ms)
        elif watched.alert is not None:
            if now_ms >= watched.met_at_ms + duration_ms(definition.keep_firing_for or "0s"):
                found.append(_ended(watched.alert, now_ms))
                watched = replace(watched, alert=None)
        elif value is None:
            free_ms = _throttled_until_ms(definition, watched)
            if free_ms <= now_ms:
                self._forget(definition.alert_id, name, watched, now_ms, found)
                return
            wake_at_ms = free_ms
        self._watched[definition.alert_id][name] = replace(watched, look_at_ms=wake_at_ms)
        self._changed[definition.alert_id, name] = None
        self._wake(definition.alert_id, name, wake_at_ms)

    def _wake(self, alert_id: str, name: str, at_ms: int) -> None:
        if self._wake_of.get((alert_id, name)) != at_ms:
            self._wake_of[alert_id, name] = at_ms
            heappush(self._wakes, (at_ms, alert_id, name))

    def _forget(self, alert_id: str, name: str, watched: Watched, now_ms: int, found: list[Alert]) -> None:
        if watched.alert is not None:
            found.append(_ended(watched.alert, now_ms))
        del self._watched[alert_id][name]
        self._wake_of.pop((alert_id, name), None)
        self._changed[alert_id, name] = None


_DECODER = msgpack.Decoder(Watched)


def _throttled_until_ms(definition: AlertDefinition, watched: Watched) -> int:
    """Return when the group may fire again after it last began to."""
    if definition.throttling is None or watched.opened_at_ms is None:
        return 0
    return watched.opened_at_ms + duration_ms(definition.throttling.max_frequency)


def _not_before_ms(definition: AlertDefinition, watched: Watched, now_ms: int) -> int:
    """Return when the group may begin to fire: once its throttle and its hours allow it."""
    free_ms = max(now_ms, _throttled_until_ms(definition, watched))
    if definition.schedule is None:
        return free_ms
    return next_active_at_ms(definition.schedule, free_ms) or free_ms + 1


def _alert(definition: AlertDefinition, watched: Watched, now_ms: int, value: float) -> Alert:
    aggregation = aggregation_of(definition)
    severity = notification_of(definition).severity or watched.severity
    labels = {name: text for name, text in watched.group.items() if text}
    if definition.tenant_id is not None:
        labels["tenant_id"] = definition.tenant_id
    limit = f"{aggregation.operator.value} {aggregation.threshold:g}"
    return Alert(
        labels=labels
        | {
            "alertname": definition.name,
            "alert_id": definition.alert_id,
            "severity": severity.value,
            "sentinel_source": "definition",
        },
        annotations={
            "summary": definition.name,
            "observed": f"{aggregation.function.value} {value:g} within {aggregation.window}",
            "expected": f"not {aggregation.function.value} {limit} within {aggregation.window}",
        },
        starts_at_ms=now_ms,
        updated_at_ms=now_ms,
        ends_at_ms=now_ms + _OPEN_MS,
    )


def _ended(alert: Alert, now_ms: int) -> Alert:
    return replace(alert, updated_at_ms=now_ms, ends_at_ms=now_ms)
