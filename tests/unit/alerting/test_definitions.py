"""Alert definitions: when their alerts begin and end, and what keeps them from being a nuisance."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.alert import (
    ActiveHours,
    Aggregate,
    AlertAction,
    AlertAggregation,
    AlertDefinition,
    AlertFilters,
    AlertSchedule,
    AlertThrottling,
    AnomalyTrigger,
    MetricTrigger,
    PatternTrigger,
)
from schemas.anomaly import Severity
from schemas.rule import Operator
from schemas.time import to_at_ms
from tests import strategies
from udfs.alerting.alert import Alert
from udfs.alerting.definition import check_definition
from udfs.alerting.definitions import Definitions
from udfs.alerting.observation import Observation, of_anomaly, of_summary
from udfs.alerting.records import Record
from udfs.alerting.sliding_window import BUCKETS, SlidingWindow, added, aggregate

START_MS = to_at_ms("2026-11-02T12:00:00Z")
MINUTE_MS = 60_000


def definition(**changes: Any) -> AlertDefinition:
    fields: dict[str, Any] = {
        "alert_id": "a",
        "name": "Many",
        "conditions": AnomalyTrigger(aggregation=AlertAggregation(window="5m", threshold=3)),
        "actions": (AlertAction(type="notification"),),
    }
    return AlertDefinition(**fields | changes)


def anomaly(at_ms: int, severity: Severity = Severity.WARNING, score: float = 0.9, **fields: str) -> Observation:
    return Observation(at_ms=at_ms, fields={"severity": severity.value} | fields, value=score, severity=severity)


class Watch:
    """Definitions in virtual time: what began and ended, as minute, name of the group, and whether it fires."""

    def __init__(self, *wanted: AlertDefinition, restarts: bool = False) -> None:
        self.wanted = wanted
        self.definitions = Definitions(wanted)
        self.kept: dict[tuple[str, str], bytes | None] = {}
        self.restarts = restarts
        self.now_ms = START_MS
        self.alerts: list[tuple[int, Alert]] = []

    @property
    def told(self) -> list[tuple[float, bool]]:
        """When alerts began and ended, in minutes."""
        return [((at_ms - START_MS) / MINUTE_MS, (alert.ends_at_ms or 0) > at_ms) for at_ms, alert in self.alerts]

    def see(self, severity: Severity = Severity.WARNING, score: float = 0.9, late_ms: int = 0, **fields: str) -> None:
        """Let an anomaly come."""
        seen = anomaly(self.now_ms - late_ms, severity, score, **fields)
        self.take(self.definitions.take(seen, self.now_ms))

    def pass_time(self, minutes: float) -> None:
        """Let time go by."""
        end_ms = self.now_ms + int(minutes * MINUTE_MS)
        while (at_ms := self.definitions.next_at_ms) is not None and at_ms <= end_ms:
            self.now_ms = max(self.now_ms, at_ms)
            self.take(self.definitions.advance(self.now_ms))
        self.now_ms = end_ms

    def take(self, alerts: list[Alert]) -> None:
        """Take down what began or ended."""
        self.alerts += [(self.now_ms, alert) for alert in alerts]

    def restart(self) -> None:
        """Go on from what was kept."""
        self.kept |= {(kind, key): value for kind, key, value in self.definitions.take_changes()}
        if self.restarts:
            records = [Record(*place, value) for place, value in self.kept.items()]
            self.definitions = Definitions(self.wanted, records)


def test_an_alert_begins_when_enough_came_within_the_window_and_ends_when_they_are_past() -> None:
    watch = Watch(definition())
    for _ in range(3):
        watch.see()
        watch.pass_time(1)
    watch.pass_time(20)
    (begin, end) = watch.told
    assert begin == (2.0, True)
    # The first of the three leaves the window of five minutes, in steps of a sixtieth of it.
    assert 4.9 <= end[0] <= 5.1
    assert not end[1]
    (_, first), (_, last) = watch.alerts
    assert first.labels == last.labels
    assert first.starts_at_ms == last.starts_at_ms
    assert first.labels == {
        "alertname": "Many",
        "alert_id": "a",
        "severity": "warning",
        "sentinel_source": "definition",
    }
    assert first.annotations["observed"] == "count 3 within 5m"


def test_without_aggregation_the_first_fires_and_holds_for_five_minutes() -> None:
    watch = Watch(definition(conditions=AnomalyTrigger(filters=AlertFilters(severity=(Severity.CRITICAL,)))))
    watch.see(Severity.WARNING)
    assert not watch.told
    watch.see(Severity.CRITICAL)
    watch.pass_time(10)
    (begin, end) = watch.told
    assert begin == (0.0, True)
    assert 4.9 <= end[0] <= 5.1
    assert watch.alerts[0][1].labels["severity"] == "critical"


def test_groups_fire_apart_and_no_more_often_than_they_may() -> None:
    trigger = AnomalyTrigger(aggregation=AlertAggregation(window="1m"))
    throttling = AlertThrottling(max_frequency="30m", grouping=("application_id",))
    watch = Watch(definition(conditions=trigger, throttling=throttling))
    for _ in range(8):
        watch.see(application_id="shop")
        watch.see(application_id="desk")
        watch.pass_time(10)
    begun: dict[str, list[float]] = {name: [] for name in ("shop", "desk")}
    for at_ms, alert in watch.alerts:
        if (alert.ends_at_ms or 0) > at_ms:
            begun[alert.labels["application_id"]].append((at_ms - START_MS) / MINUTE_MS)
    assert begun == {"shop": [0, 30, 60], "desk": [0, 30, 60]}


def test_what_is_still_so_when_the_throttle_ends_fires_then() -> None:
    trigger = AnomalyTrigger(aggregation=AlertAggregation(window="5m", threshold=2))
    watch = Watch(definition(conditions=trigger, throttling=AlertThrottling(max_frequency="8m")))
    watch.see()
    watch.see()
    watch.pass_time(6)
    watch.see()
    watch.see()
    watch.pass_time(3)
    assert [told for told in watch.told if told[1]] == [(0, True), (8, True)]


def test_nothing_begins_outside_its_hours_and_what_lasts_begins_with_them() -> None:
    schedule = AlertSchedule(timezone="Europe/Berlin", active_hours=ActiveHours(start="13:10", end="13:00"))
    watch = Watch(definition(conditions=AnomalyTrigger(aggregation=AlertAggregation(window="1h")), schedule=schedule))
    watch.see()
    watch.pass_time(30)
    assert watch.told == [(10, True)]


def test_an_alert_that_comes_and_goes_is_one_alert_if_it_is_kept() -> None:
    trigger = AnomalyTrigger(aggregation=AlertAggregation(window="1m"))
    kept = Watch(definition(conditions=trigger, keep_firing_for="5m"))
    for _ in range(5):
        kept.see()
        kept.pass_time(3)
    kept.pass_time(20)
    assert [fires for _, fires in kept.told] == [True, False]


def test_what_is_read_late_fires_as_what_is_read_in_time() -> None:
    watch = Watch(definition())
    for each in range(3):
        watch.see(late_ms=3_600_000 - each * MINUTE_MS)
    watch.pass_time(20)
    assert [fires for _, fires in watch.told] == [True, False]
    assert watch.told[0][0] == 0


def test_scores_are_averaged_and_filtered() -> None:
    aggregation = AlertAggregation(window="5m", function=Aggregate.AVG, operator=Operator.GT, threshold=0.8)
    watch = Watch(
        definition(conditions=AnomalyTrigger(aggregation=aggregation, filters=AlertFilters(score_threshold=0.5)))
    )
    for score in (0.2, 0.6, 0.9, 0.95, 0.99):
        watch.see(score=score)
    # 0.2 does not count; the mean of the rest passes 0.8 with the third of them.
    assert watch.alerts[0][1].annotations["observed"] == "avg 0.816667 within 5m"


def test_a_metric_fires_on_summaries_of_models_at_its_level() -> None:
    trigger = MetricTrigger(
        metric="latency_ms_p95",
        aggregation=AlertAggregation(window="5m", function=Aggregate.MAX, operator=Operator.GT, threshold=2_000),
    )
    watch = Watch(definition(conditions=trigger))
    for window, value in (("10s", 9_000.0), ("1m", 1_900.0), ("1m", 2_100.0)):
        seen = Observation(at_ms=START_MS, fields={"metric": "latency_ms_p95"}, value=value, window=window)
        watch.take(watch.definitions.take(seen, START_MS))
    assert watch.alerts[0][1].annotations["observed"] == "max 2100 within 5m"


def test_a_pattern_is_searched_in_a_field_of_anomalies() -> None:
    trigger = PatternTrigger(field="model", regex="^gpt-(4|5)")
    watch = Watch(definition(conditions=trigger))
    watch.see(model="claude-4")
    assert watch.told == []
    watch.see(model="gpt-5-mini")
    assert watch.told == [(0, True)]


def test_a_definition_of_a_tenant_sees_that_tenant_alone() -> None:
    watch = Watch(definition(conditions=AnomalyTrigger(), tenant_id="acme"))
    watch.see(tenant_id="other")
    assert watch.told == []
    watch.see(tenant_id="acme")
    assert watch.alerts[0][1].labels["tenant_id"] == "acme"


def test_an_alert_whose_definition_is_gone_or_another_ends() -> None:
    watch = Watch(definition(conditions=AnomalyTrigger()))
    watch.see()
    watch.take(watch.definitions.take_definitions([definition(conditions=AnomalyTrigger())], watch.now_ms))
    assert [fires for _, fires in watch.told] == [True]
    watch.take(watch.definitions.take_definitions([], watch.now_ms))
    assert [fires for _, fires in watch.told] == [True, False]


def test_an_alert_whose_definition_went_while_nothing_ran_ends() -> None:
    watch = Watch(definition(conditions=AnomalyTrigger()), restarts=True)
    watch.see()
    watch.wanted = ()
    watch.restart()
    watch.pass_time(1)
    assert [fires for _, fires in watch.told] == [True, False]


seen = st.lists(
    st.tuples(
        st.sampled_from(["shop", "desk", ""]),
        st.floats(0, 1),
        st.integers(0, 400_000),
        st.floats(0, 9),
    ),
    max_size=40,
)


@given(seen, st.sampled_from([None, "3m"]), st.sampled_from(["10s", "2m", "1h"]), st.sampled_from(["0s", "7m"]))
def test_restarts_change_nothing_and_begins_and_ends_alternate(
    day: list[tuple[str, float, int, float]], keep: str | None, window: str, frequency: str
) -> None:
    wanted = definition(
        conditions=AnomalyTrigger(aggregation=AlertAggregation(window=window, threshold=2)),
        throttling=AlertThrottling(max_frequency=frequency, grouping=("application_id",)),
        keep_firing_for=keep,
    )
    watches = [Watch(wanted, restarts=restarts) for restarts in (False, True)]
    for watch in watches:
        for application, score, late_ms, minutes in day:
            watch.see(score=score, late_ms=late_ms, application_id=application)
            watch.restart()
            watch.pass_time(minutes)
        watch.pass_time(200)
    straight, restarted = watches
    by_group: dict[str, list[tuple[int, bool]]] = {}
    for at_ms, alert in straight.alerts:
        fires = (alert.ends_at_ms or 0) > at_ms
        by_group.setdefault(alert.labels.get("application_id", ""), []).append((at_ms, fires))
    for told in by_group.values():
        assert [fires for _, fires in told] == [True, False] * (len(told) // 2)
        begun = [at_ms for at_ms, fires in told if fires]
        least_ms = 420_000 if frequency == "7m" else 0
        assert all(later - earlier >= least_ms for earlier, later in pairwise(begun))
    assert straight.definitions._watched["a"] == {} if day else True  # noqa: SLF001 - nothing is kept for ever
    assert restarted.alerts == straight.alerts


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e6, 1e6)), min_size=1, max_size=80),
    st.integers(10_000, 10**6),
)
def test_the_window_holds_what_a_list_would(values: list[tuple[int, float]], length_ms: int) -> None:
    window = SlidingWindow()
    for at_ms, value in values:
        window = added(window, length_ms, at_ms, value)
    newest = max(at_ms for at_ms, _ in values)
    width = -(-length_ms // BUCKETS)
    held = [value for at_ms, value in values if at_ms // width > newest // width - BUCKETS]
    assert len(window.buckets) <= BUCKETS
    assert aggregate(window, length_ms, newest, Aggregate.COUNT) == len(held)
    assert aggregate(window, length_ms, newest, Aggregate.MIN) == min(held)
    assert aggregate(window, length_ms, newest, Aggregate.MAX) == max(held)
    assert aggregate(window, length_ms, newest, Aggregate.SUM) == pytest.approx(sum(held), abs=1e-3)
    assert aggregate(window, length_ms, newest + 2 * length_ms, Aggregate.COUNT) is None


@given(strategies.anomalies)
def test_every_anomaly_is_an_observation(record: Any) -> None:
    found = of_anomaly(record)
    assert (found.value, found.severity) == (record.score, record.severity)


@given(strategies.summaries)
def test_summaries_of_models_alone_are_observations(record: Any) -> None:
    found = of_summary(record)
    assert (found is not None) == (record.entity.type == "model")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"actions": (AlertAction(type="notification", config={"receivers": ["x"]}),)}, "there is no receiver x"),
        (
            {"actions": (AlertAction(type="notification", config={"to": ["x"]}),)},
            r"actions\[0\].config: Object contains",
        ),
        ({"conditions": AnomalyTrigger(aggregation=AlertAggregation(window="5s"))}, "window: 5s is shorter than 10s"),
        ({"conditions": AnomalyTrigger(aggregation=AlertAggregation(window="9d"))}, "window: 9d is longer than 7d"),
        ({"conditions": PatternTrigger(field="prompt", regex="x")}, "conditions.field: prompt is no field here"),
        ({"conditions": PatternTrigger(field="model", regex="(")}, "conditions.regex: '\\(' is no regular expression"),
        (
            {"conditions": MetricTrigger(metric="x", aggregation=AlertAggregation(window="5m"))},
            "conditions.metric: x is",
        ),
        (
            {"throttling": AlertThrottling(max_frequency="5m", grouping=("x",))},
            r"throttling.grouping\[0\]: x is no field",
        ),
        ({"schedule": AlertSchedule(timezone="X")}, "schedule.timezone: X is no time zone"),
        ({"keep_firing_for": "30d"}, "keep_firing_for: 30d is longer than 7d"),
    ],
)
def test_a_definition_that_cannot_be_carried_out_is_refused_with_its_place(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        check_definition(replace(definition(), **changes), ("team",))
