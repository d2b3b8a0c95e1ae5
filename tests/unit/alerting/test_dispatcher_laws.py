"""Laws of the dispatcher under random histories in virtual time: restarts, losses, repeats and order."""

from collections.abc import Iterator
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from udfs.alerting.alert import Alert, fingerprint
from udfs.alerting.dispatcher import Dispatcher
from udfs.alerting.inhibition import InhibitRule, InhibitSource
from udfs.alerting.matcher import Matcher, MatchKind, matchers_text
from udfs.alerting.notification import Notification
from udfs.alerting.route import Route, matching_routes
from udfs.alerting.settings import Channel, DispatchSettings
from udfs.alerting.silence import Silence

LAW = settings(max_examples=40, phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink))
SECOND_MS = 1_000
REPEAT_MS = 5 * SECOND_MS
_MODEL_A = Matcher("model", MatchKind.EQUAL, "a")
_CRITICAL, _WARNING = (Matcher("severity", MatchKind.EQUAL, value) for value in ("critical", "warning"))


def _child(*matchers: Matcher, **options: Any) -> Route:
    timing = {"group_wait_ms": SECOND_MS, "group_interval_ms": 2 * SECOND_MS, "repeat_interval_ms": REPEAT_MS}
    key = "{}" + (f"/{matchers_text(matchers)}" if matchers else "")
    return Route(key=key, matchers=matchers, **(timing | options))


SETTINGS = DispatchSettings(
    route=_child(
        receiver="team",
        group_by=("alertname",),
        routes=(
            _child(_CRITICAL, receiver="page", group_by=("model",), goes_on=True),
            _child(_MODEL_A, receiver="mail", group_by_all=True),
        ),
    ),
    receivers={
        "team": (Channel("webhook[0]", send_resolved=True), Channel("slack[0]", send_resolved=False)),
        "page": (Channel("pagerduty[0]", send_resolved=True),),
        "mail": (Channel("email[0]", send_resolved=False),),
    },
    inhibit_rules=(InhibitRule(sources=(InhibitSource(matchers=(_CRITICAL,), equal=("model",)),), target=(_WARNING,)),),
    resolve_timeout_ms=4 * SECOND_MS,
)
PLAIN = DispatchSettings(route=SETTINGS.route, receivers=SETTINGS.receivers, resolve_timeout_ms=4 * SECOND_MS)
"""Without anything that keeps alerts back."""


class Push(Struct, frozen=True):
    """Alerts are sent."""

    alerts: tuple[Alert, ...]


class Hush(Struct, frozen=True):
    """A silence begins, or ends if there is one."""

    model: str
    length_ms: int


class Deliver(Struct, frozen=True):
    """The oldest notice under way arrives, or cannot be delivered."""

    arrives: bool


class Pass(Struct, frozen=True):
    """Time passes."""

    ms: int


Event = Push | Hush | Deliver | Pass
_labels = st.fixed_dictionaries(
    {
        "alertname": st.sampled_from(["slow", "down"]),
        "model": st.sampled_from(["a", "b"]),
        "severity": st.sampled_from(["critical", "warning"]),
    }
)


@st.composite
def _pushes(draw: st.DrawFn) -> Push:
    alerts = {}
    for labels in draw(st.lists(_labels, min_size=1, max_size=3)):
        lasts_ms = draw(st.sampled_from([None, 0, 3 * SECOND_MS, 60 * SECOND_MS]))
        alert = Alert(labels=labels, starts_at_ms=0, updated_at_ms=0, ends_at_ms=lasts_ms)
        alerts[fingerprint(labels)] = alert
    return Push(tuple(alerts.values()))


_passes = st.builds(Pass, st.sampled_from([100, 700, SECOND_MS, 3 * SECOND_MS, 40 * SECOND_MS]))
_hushes = st.builds(Hush, st.sampled_from(["a", "b"]), st.sampled_from([SECOND_MS, 8 * SECOND_MS]))
_histories = st.lists(
    st.one_of(_pushes(), _pushes(), _passes, _passes, _hushes, st.builds(Deliver, st.booleans())), max_size=16
)


class Run:
    """A dispatcher in the hands of a history."""

    def __init__(self, rules: DispatchSettings, *, restarts: bool = False, at_once: bool = False) -> None:
        self.rules = rules
        self.now_ms = 0
        self.dispatcher = Dispatcher(rules, 0)
        self.told: list[Notification] = []
        self.arrived: list[tuple[int, Notification]] = []
        self._restarts = restarts
        self._at_once = at_once

    def play(self, history: list[Event]) -> "Run":
        """Let a history happen."""
        for event in history:
            self.happen(event)
        return self

    def happen(self, event: Event) -> None:
        """Let one thing happen."""
        match event:
            case Push(alerts):
                self.dispatcher.on_alerts([self._now(alert) for alert in alerts], self.now_ms)
            case Hush(model, length_ms):
                active = [each for each in self.dispatcher.silences.by_id.values() if each.ends_at_ms > self.now_ms]
                if active:
                    self.dispatcher.expire_silence(active[0].silence_id, self.now_ms)
                else:
                    self.dispatcher.on_silence(self._silence(model, length_ms), self.now_ms)
            case Deliver(arrives):
                self._answer(arrives=arrives)
            case Pass(ms):
                self._advance(self.now_ms + ms)
        self._restart()

    def settle(self) -> "Run":
        """Deliver everything until nothing is under way and every group has been looked at twice."""
        for _ in range(2):
            while self.dispatcher.pending:
                self._answer(arrives=True)
            self._advance(self.now_ms + 2 * SECOND_MS)
        while self.dispatcher.pending:
            self._answer(arrives=True)
        return self

    def _advance(self, until_ms: int) -> None:
        while (wake_at_ms := self.dispatcher.next_wake_at_ms()) is not None and wake_at_ms <= until_ms:
            self.now_ms = wake_at_ms
            for notice in self.dispatcher.advance(wake_at_ms).notifications:
                self.told.append(notice)
                if self._at_once:
                    self._answer(arrives=True)
            self._restart()
        self.now_ms = until_ms

    def _answer(self, *, arrives: bool) -> None:
        for notice in self.told:
            if notice.notification_id in self.dispatcher.pending:
                if arrives:
                    self.arrived.append((self.now_ms, notice))
                    self.dispatcher.on_sent(notice.notification_id, self.now_ms)
                else:
                    self.dispatcher.on_failed(notice.notification_id, self.now_ms)
                return

    def _restart(self) -> None:
        if self._restarts:
            self.dispatcher = Dispatcher(self.rules, self.now_ms, self.dispatcher.records())

    def _now(self, alert: Alert) -> Alert:
        ends_at_ms = None if alert.ends_at_ms is None else self.now_ms + alert.ends_at_ms
        return Alert(labels=alert.labels, starts_at_ms=self.now_ms, updated_at_ms=self.now_ms, ends_at_ms=ends_at_ms)

    def _silence(self, model: str, length_ms: int) -> Silence:
        return Silence(
            silence_id=f"silence {len(self.dispatcher.silences.by_id)}",
            matcher_sets=((Matcher("model", MatchKind.EQUAL, model),),),
            starts_at_ms=self.now_ms,
            ends_at_ms=self.now_ms + length_ms,
            updated_at_ms=0,
        )


def _channels(labels: dict[str, str]) -> Iterator[tuple[str, Channel]]:
    for route in matching_routes(SETTINGS.route, labels):
        for channel in SETTINGS.receivers[route.receiver]:
            yield route.receiver, channel


@given(_histories)
@LAW
def test_restart_between_any_two_steps_changes_nothing(history: list[Event]) -> None:
    assert Run(SETTINGS, restarts=True).play(history).told == Run(SETTINGS).play(history).told


@given(_histories)
@LAW
def test_no_alert_is_lost(history: list[Event]) -> None:
    run = Run(PLAIN).play([each for each in history if not isinstance(each, Hush)]).settle()
    firing = {each: alert for each, alert in run.dispatcher.alerts.items() if not alert.is_resolved(run.now_ms)}
    for identity, alert in firing.items():
        for receiver, channel in _channels(alert.labels):
            entries = [entry for place, entry in run.dispatcher.log.items() if place[1:] == (receiver, channel.name)]
            assert any(identity in entry.firing for entry in entries), f"{receiver} never heard of {alert.labels}"


@given(_histories)
@LAW
def test_no_end_is_lost_of_what_was_told(history: list[Event]) -> None:
    run = Run(PLAIN).play([each for each in history if not isinstance(each, Hush)]).settle()
    run.play([Pass(70 * SECOND_MS)]).settle()
    told: dict[tuple[str, str], dict[str, bool]] = {}
    for _, notice in run.arrived:
        known = told.setdefault((notice.receiver, notice.channel), {})
        known |= {fingerprint(a.labels): over for a, over in zip(notice.alerts, notice.resolved, strict=True)}
    for (receiver, channel), known in told.items():
        if any(each.name == channel and each.send_resolved for each in SETTINGS.receivers[receiver]):
            assert all(known.values()), f"{receiver} believes that something fires still"


@given(_histories)
@LAW
def test_nothing_is_told_twice_within_the_repeat_interval(history: list[Event]) -> None:
    run = Run(SETTINGS, at_once=True).play(history)
    last: dict[tuple[str, str, str], tuple[int, Any]] = {}
    for at_ms, notice in run.arrived:
        if notice.channel in {"slack[0]", "email[0]"}:
            # These are not told that all is over, so the same alerts may be news again.
            continue
        place = notice.group_key, notice.receiver, notice.channel
        news = sorted((fingerprint(a.labels), over) for a, over in zip(notice.alerts, notice.resolved, strict=True))
        before_ms, before = last.get(place, (-REPEAT_MS - 1, None))
        assert news != before or at_ms - before_ms > REPEAT_MS
        last[place] = at_ms, news


@given(_histories)
@LAW
def test_only_routed_alerts_are_told_and_only_while_nothing_keeps_them_back(history: list[Event]) -> None:
    for notice in Run(SETTINGS).play(history).told:
        assert notice.alerts
        for alert, over in zip(notice.alerts, notice.resolved, strict=True):
            wanted = {(receiver, channel.name, channel.send_resolved) for receiver, channel in _channels(alert.labels)}
            assert any(each[:2] == (notice.receiver, notice.channel) and (each[2] or not over) for each in wanted)


@given(_histories, st.randoms(use_true_random=False))
@LAW
def test_order_of_alerts_at_one_instant_is_irrelevant(history: list[Event], rng: Any) -> None:
    shuffled = [
        Push(tuple(rng.sample(each.alerts, len(each.alerts)))) if isinstance(each, Push) else each for each in history
    ]
    assert Run(SETTINGS).play(shuffled).told == Run(SETTINGS).play(history).told


@given(_histories)
@LAW
def test_changes_add_up_to_the_records(history: list[Event]) -> None:
    run = Run(SETTINGS)
    kept: dict[tuple[str, str], bytes | None] = {}
    for event in history:
        run.happen(event)
        kept |= {record[:2]: record.value for record in run.dispatcher.take_changes()}
        whole = {record[:2]: record.value for record in run.dispatcher.records()}
        assert {key: value for key, value in kept.items() if value is not None} == whole
