"""Throttles: never more than the rate, nothing held back without a count, and nothing lost."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from udfs.alerting.alert import Alert
from udfs.alerting.decision import DecisionReason
from udfs.alerting.dispatcher import Dispatcher
from udfs.alerting.notification import Notification, NotificationReason
from udfs.alerting.records import Record
from udfs.alerting.route import Route
from udfs.alerting.settings import Channel, DispatchSettings
from udfs.alerting.throttle import GROUPS_NAMED, Rate, Throttles, Throttling, held_back_texts

MINUTE_MS = 60_000
offers = st.lists(
    st.tuples(st.integers(0, 30_000), st.sampled_from(["chat", "mail"]), st.sampled_from(["", "acme", "beta"])),
    max_size=80,
)


@given(offers, st.integers(1, 6), st.integers(1, 9))
def test_no_more_than_the_rate_is_admitted_and_what_is_held_back_is_counted(
    offered: list[tuple[int, str, str]], notices: int, of_tenant: int
) -> None:
    throttles = Throttles(
        receivers={"chat": Rate(notices=notices, per="1m")}, each_tenant=Rate(notices=of_tenant, per="1m")
    )
    straight, restarted = Throttling(throttles), Throttling(throttles)
    kept: dict[tuple[str, str], bytes | None] = {}
    now_ms, held, told = 0, 0, 0
    admitted: list[tuple[int, str, str]] = []
    for number, (pause_ms, receiver, tenant_id) in enumerate(offered):
        now_ms += pause_ms
        admits = straight.admits(receiver, tenant_id, now_ms)
        assert restarted.admits(receiver, tenant_id, now_ms) == admits
        if admits:
            admitted.append((now_ms, receiver, tenant_id))
        else:
            held += 1
            for each in (straight, restarted):
                each.hold(receiver, tenant_id, f"group {number}", now_ms)
        due = straight.due(now_ms)
        assert restarted.due(now_ms) == due
        told += sum(each.notices for _, each in due)
        kept |= {(kind, key): value for kind, key, value in restarted.take_changes()}
        restarted = Throttling(throttles, [Record(*place, value) for place, value in kept.items()])
    told += sum(each.notices for _, each in straight.due(now_ms + 2 * MINUTE_MS))
    assert told == held
    assert straight.next_at_ms is None
    for at_ms, _, _ in admitted:
        within = [each for each in admitted if at_ms <= each[0] < at_ms + MINUTE_MS]
        # As many as come at once, and those that a minute adds.
        assert sum(receiver == "chat" for _, receiver, _ in within) <= 2 * notices
        assert sum(tenant == "acme" for _, _, tenant in within) <= 2 * of_tenant


def test_a_receiver_is_told_of_the_groups_by_name_and_of_the_rest_by_number() -> None:
    throttling = Throttling(Throttles(receivers={"chat": Rate(notices=1, per="1m")}))
    for number in range(GROUPS_NAMED + 3):
        throttling.hold("chat", "", f"g{number:02}", 0)
    throttling.hold("chat", "", "g00", 0)
    ((_, held),) = throttling.due(MINUTE_MS)
    summary, groups = held_back_texts(held)
    assert summary == "24 notices about more than 20 groups held back by a throttle"
    assert groups.startswith("2 about g00; 1 about g01; ")
    assert groups.endswith("; 3 about others")


def run(dispatcher: Dispatcher, until_ms: int) -> tuple[list[Notification], list[DecisionReason]]:
    notices: list[Notification] = []
    reasons: list[DecisionReason] = []
    while (at_ms := dispatcher.next_wake_at_ms()) is not None and at_ms <= until_ms:
        step = dispatcher.advance(at_ms)
        reasons += [decision.reason for decision in step.decisions]
        for notice in step.notifications:
            notices.append(notice)
            dispatcher.on_sent(notice.notification_id, at_ms)
    return notices, reasons


def test_notices_that_are_held_back_come_with_the_next_turn_and_the_receiver_hears_how_many() -> None:
    options: dict[str, Any] = {"group_by": ("alertname",), "group_wait_ms": 1_000, "group_interval_ms": 40_000}
    settings = DispatchSettings(
        route=Route(receiver="chat", **options),
        receivers={"chat": (Channel("webhook[0]", True),)},
        throttles=Throttles(receivers={"chat": Rate(notices=2, per="1m")}),
    )
    dispatcher = Dispatcher(settings, 0)
    alerts = [
        Alert(labels={"alertname": f"a{number}"}, starts_at_ms=0, updated_at_ms=0, ends_at_ms=10**9)
        for number in range(4)
    ]
    dispatcher.on_alerts(alerts, 0)
    notices, reasons = run(dispatcher, 200_000)
    told = [(notice.created_at_ms, notice.reason, notice.group_labels["alertname"]) for notice in notices]
    first = NotificationReason.FIRST_NOTIFICATION
    assert told == [
        (1_000, first, "a0"),
        (1_000, first, "a1"),
        (41_000, first, "a2"),
        (61_000, NotificationReason.HELD_BACK, "NoticesHeldBack"),
        (81_000, first, "a3"),
    ]
    assert notices[3].common_annotations["summary"] == "3 notices about 2 groups held back by a throttle"
    assert reasons.count(DecisionReason.THROTTLED) == 2


def test_the_end_of_an_alert_is_not_lost_to_a_throttle() -> None:
    options: dict[str, Any] = {"group_by": ("alertname",), "group_wait_ms": 1_000, "group_interval_ms": 10_000}
    settings = DispatchSettings(
        route=Route(receiver="chat", **options),
        receivers={"chat": (Channel("webhook[0]", True),)},
        throttles=Throttles(receivers={"chat": Rate(notices=1, per="1m")}),
    )
    dispatcher = Dispatcher(settings, 0)
    dispatcher.on_alerts([Alert(labels={"alertname": "a"}, starts_at_ms=0, updated_at_ms=0, ends_at_ms=5_000)], 0)
    notices, _ = run(dispatcher, 100_000)
    assert [(each.created_at_ms, each.reason) for each in notices if each.group_labels["alertname"] == "a"] == [
        (1_000, NotificationReason.FIRST_NOTIFICATION),
        (61_000, NotificationReason.ALL_ALERTS_RESOLVED),
    ]
