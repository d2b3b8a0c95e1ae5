"""Storms: beyond a number of new groups a minute one alert stands for the rest, and none of them is lost."""

from typing import Any

from udfs.alerting.alert import Alert
from udfs.alerting.decision import DecisionReason
from udfs.alerting.dispatcher import Dispatcher
from udfs.alerting.notification import NotificationReason
from udfs.alerting.records import Record
from udfs.alerting.route import Route
from udfs.alerting.settings import Channel, DispatchSettings
from udfs.alerting.storm import StormLimit, StormLimits

MINUTE_MS = 60_000
OPTIONS: dict[str, Any] = {
    "group_by": ("alertname", "model", "tenant_id"),
    "group_wait_ms": 1_000,
    "group_interval_ms": 10_000,
}
SETTINGS = DispatchSettings(
    route=Route(receiver="chat", **OPTIONS),
    receivers={"chat": (Channel("webhook[0]", True),)},
    storms=StormLimits(each=StormLimit(groups=5, calm="3m")),
)


class Sea:
    """A dispatcher in virtual time and whom it told: minute, reason and name of the alerts."""

    def __init__(self, *, restarts: bool = False) -> None:
        self.dispatcher = Dispatcher(SETTINGS, 0)
        self.now_ms = 0
        self.restarts = restarts
        self.kept: dict[tuple[str, str], bytes | None] = {}
        self.told: list[tuple[int, str, str]] = []
        self.reasons: list[DecisionReason] = []
        self.storm: dict[str, str] = {}

    def fire(self, numbers: range, tenant_id: str = "acme") -> None:
        """Let alerts fire, each a group of its own."""
        alerts = [
            Alert(
                labels={"alertname": "Slow", "model": f"m{number:02}", "tenant_id": tenant_id},
                starts_at_ms=self.now_ms,
                updated_at_ms=self.now_ms,
                ends_at_ms=10**9,
            )
            for number in numbers
        ]
        self.dispatcher.on_alerts(alerts, self.now_ms)

    def pass_time(self, minutes: int) -> None:
        """Let time go by."""
        end_ms = self.now_ms + minutes * MINUTE_MS
        while (at_ms := self.dispatcher.next_wake_at_ms()) is not None and at_ms <= end_ms:
            self.now_ms = max(at_ms, self.now_ms)
            step = self.dispatcher.advance(self.now_ms)
            self.reasons += [decision.reason for decision in step.decisions]
            for notice in step.notifications:
                name = notice.group_labels["alertname"]
                self.told.append((self.now_ms // MINUTE_MS, notice.reason.value, name))
                self.dispatcher.on_sent(notice.notification_id, self.now_ms)
                if name == "AlertStorm":
                    self.storm = notice.common_annotations
            if step.notifications:
                self.restart()
        self.now_ms = end_ms

    def restart(self) -> None:
        """Go on from what was kept."""
        self.kept |= {(kind, key): value for kind, key, value in self.dispatcher.take_changes()}
        if self.restarts:
            self.dispatcher = Dispatcher(SETTINGS, self.now_ms, [Record(*key, each) for key, each in self.kept.items()])

    def count(self, reason: NotificationReason, name: str) -> int:
        """Return how often the reason was given for alerts of a name."""
        return sum((why, about) == (reason.value, name) for _, why, about in self.told)


def test_beyond_the_limit_one_alert_stands_for_the_rest_and_names_what_they_share() -> None:
    sea = Sea()
    sea.fire(range(20))
    sea.pass_time(2)
    assert sea.count(NotificationReason.FIRST_NOTIFICATION, "Slow") == 5
    assert sea.count(NotificationReason.FIRST_NOTIFICATION, "AlertStorm") == 1
    assert sea.storm["summary"].startswith("15 groups of alerts wait")
    assert sea.storm["contributors"].startswith("alertname=Slow 100%, ")
    assert sea.reasons.count(DecisionReason.HELD_BY_STORM) == 15


def test_when_it_is_calm_those_that_still_fire_are_told_as_many_a_minute_as_may_open() -> None:
    for restarts in (False, True):
        sea = Sea(restarts=restarts)
        sea.fire(range(20))
        sea.pass_time(30)
        first = [minute for minute, why, name in sea.told if (why, name) == ("first_notification", "Slow")]
        assert len(first) == 20
        assert max(first.count(minute) for minute in first) == 5
        assert sea.count(NotificationReason.ALL_ALERTS_RESOLVED, "AlertStorm") == 1


def test_a_steady_number_of_groups_within_the_limit_is_no_storm() -> None:
    sea = Sea()
    for each in range(10):
        sea.fire(range(each * 5, each * 5 + 5))
        sea.pass_time(1)
    sea.pass_time(2)
    assert sea.count(NotificationReason.FIRST_NOTIFICATION, "Slow") == 50
    assert DecisionReason.HELD_BY_STORM not in sea.reasons


def test_the_storm_of_one_tenant_holds_nothing_of_another() -> None:
    sea = Sea()
    sea.fire(range(20), "acme")
    sea.fire(range(20, 23), "beta")
    sea.pass_time(2)
    assert sea.count(NotificationReason.FIRST_NOTIFICATION, "Slow") == 8
