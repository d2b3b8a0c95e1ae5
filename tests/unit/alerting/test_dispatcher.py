"""What the dispatcher promises about waits, repeats, resolved alerts, failures and restarts, in virtual time."""

from typing import Any

from msgspec.structs import replace

from udfs.alerting.alert import Alert
from udfs.alerting.decision import DecisionReason
from udfs.alerting.dispatcher import Dispatcher
from udfs.alerting.notification import Notification, NotificationReason
from udfs.alerting.route import Route
from udfs.alerting.settings import Channel, DispatchSettings

A = Alert(labels={"alertname": "slow", "model": "a"}, starts_at_ms=0, updated_at_ms=0, ends_at_ms=10**9)
B = Alert(labels={"alertname": "slow", "model": "b"}, starts_at_ms=0, updated_at_ms=0, ends_at_ms=10**9)


def _dispatcher(channels: tuple[Channel, ...] = (Channel("webhook[0]", True),), **options: Any) -> Dispatcher:
    timing = {"group_wait_ms": 1_000, "group_interval_ms": 1_000, "repeat_interval_ms": 3_000}
    route = Route(receiver="team", group_by=("alertname",), **(timing | options))
    return Dispatcher(DispatchSettings(route=route, receivers={"team": channels}), 0)


def _run(dispatcher: Dispatcher, until_ms: int, *, delivered: bool = True) -> list[Notification]:
    notices: list[Notification] = []
    while (at_ms := dispatcher.next_wake_at_ms()) is not None and at_ms <= until_ms:
        for notice in dispatcher.advance(at_ms).notifications:
            notices.append(notice)
            if delivered:
                dispatcher.on_sent(notice.notification_id, at_ms)
    return notices


def _ended(alert: Alert, at_ms: int) -> Alert:
    return replace(alert, ends_at_ms=at_ms, updated_at_ms=at_ms)


def test_first_notice_comes_after_the_group_wait_with_all_alerts_of_the_group() -> None:
    dispatcher = _dispatcher()
    dispatcher.on_alerts([A, B], 0)
    (notice,) = _run(dispatcher, 1_500)
    assert notice.created_at_ms == 1_000
    assert notice.group_key == '{}:{alertname="slow"}'
    assert [alert.labels["model"] for alert in notice.alerts] == ["a", "b"]
    assert notice.common_labels == {"alertname": "slow"}
    assert notice.reason is NotificationReason.FIRST_NOTIFICATION


def test_nothing_is_repeated_before_the_repeat_interval_has_passed() -> None:
    dispatcher = _dispatcher()
    dispatcher.on_alerts([A], 0)
    assert [notice.created_at_ms for notice in _run(dispatcher, 9_500)] == [1_000, 5_000, 9_000]


def test_alert_that_ends_within_the_group_wait_is_never_told() -> None:
    dispatcher = _dispatcher()
    dispatcher.on_alerts([A], 0)
    dispatcher.on_alerts([_ended(A, 500)], 500)
    assert _run(dispatcher, 5_000) == []


def test_resolved_alert_is_told_once_and_leaves_the_group() -> None:
    dispatcher = _dispatcher()
    dispatcher.on_alerts([A, B], 0)
    _run(dispatcher, 1_500)
    dispatcher.on_alerts([_ended(A, 1_500)], 1_500)
    (notice,) = _run(dispatcher, 4_000)
    assert notice.reason is NotificationReason.NEW_RESOLVED_ALERTS
    assert list(zip((a.labels["model"] for a in notice.alerts), notice.resolved, strict=True)) == [
        ("a", True),
        ("b", False),
    ]


def test_channel_without_resolved_alerts_is_not_told_that_all_is_over() -> None:
    dispatcher = _dispatcher((Channel("slack[0]", False),))
    dispatcher.on_alerts([A], 0)
    _run(dispatcher, 1_500)
    dispatcher.on_alerts([_ended(A, 1_500)], 1_500)
    assert _run(dispatcher, 3_000) == []
    dispatcher.on_alerts([replace(A, starts_at_ms=3_100, updated_at_ms=3_100)], 3_100)
    (notice,) = _run(dispatcher, 4_500)
    assert notice.reason is NotificationReason.FIRST_NOTIFICATION


def test_notice_that_failed_comes_again_under_the_same_identifier() -> None:
    dispatcher = _dispatcher()
    dispatcher.on_alerts([A], 0)
    (first,) = _run(dispatcher, 1_500, delivered=False)
    dispatcher.on_failed(first.notification_id, 1_600)
    (again,) = _run(dispatcher, 2_500)
    assert again.notification_id == first.notification_id


def test_notice_under_way_is_not_sent_twice_and_gives_way_to_newer_news() -> None:
    dispatcher = _dispatcher()
    dispatcher.on_alerts([A], 0)
    (first,) = _run(dispatcher, 1_500, delivered=False)
    assert _run(dispatcher, 2_500) == []
    dispatcher.on_alerts([B], 2_600)
    (second,) = _run(dispatcher, 3_500)
    assert second.supersedes == first.notification_id
    assert dispatcher.on_sent(first.notification_id, 3_600).decisions == ()


def test_alert_resolved_while_its_notice_is_under_way_is_told_of_when_that_has_arrived() -> None:
    dispatcher = _dispatcher()
    dispatcher.on_alerts([A], 0)
    (first,) = _run(dispatcher, 1_500, delivered=False)
    dispatcher.on_alerts([_ended(A, 1_600)], 1_600)
    assert _run(dispatcher, 2_500) == []
    dispatcher.on_sent(first.notification_id, 2_600)
    (last,) = _run(dispatcher, 3_500)
    assert last.reason is NotificationReason.ALL_ALERTS_RESOLVED


def test_alert_without_an_end_is_resolved_after_the_resolve_timeout() -> None:
    dispatcher = _dispatcher(repeat_interval_ms=10_000_000)
    dispatcher.on_alerts([replace(A, ends_at_ms=None)], 0)
    notices = _run(dispatcher, 400_000)
    assert [(notice.created_at_ms, notice.firing) for notice in notices] == [(1_000, True), (300_000, False)]


def test_changes_taken_one_after_the_other_are_the_whole_state() -> None:
    dispatcher = _dispatcher()
    kept = {record[:2]: record.value for record in dispatcher.take_changes()}
    dispatcher.on_alerts([A, B], 0)
    for at_ms in range(500, 40_000, 500):
        for notice in dispatcher.advance(at_ms).notifications:
            dispatcher.on_sent(notice.notification_id, at_ms)
        if at_ms == 6_000:
            dispatcher.on_alerts([_ended(A, at_ms), _ended(B, at_ms)], at_ms)
        kept |= {record[:2]: record.value for record in dispatcher.take_changes()}
        whole = {record[:2]: record.value for record in dispatcher.records()}
        assert {key: value for key, value in kept.items() if value is not None} == whole


def test_every_notice_has_its_decision() -> None:
    dispatcher = _dispatcher()
    step = dispatcher.on_alerts([A], 0)
    assert [decision.reason for decision in step.decisions] == [DecisionReason.ROUTED]
    step = dispatcher.advance(1_000)
    (notice,) = step.notifications
    assert [(each.reason, each.notification_id) for each in step.decisions] == [
        (DecisionReason.NOTIFIED, notice.notification_id)
    ]
