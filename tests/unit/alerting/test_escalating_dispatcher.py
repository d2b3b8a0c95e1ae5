"""The dispatcher with chains and a maintenance calendar, in virtual time: who is told, restarts or not."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.time import to_at_ms
from udfs.alerting.alert import Alert
from udfs.alerting.calendar_silences import Maintenance
from udfs.alerting.decision import DecisionReason
from udfs.alerting.dispatcher import Dispatcher
from udfs.alerting.escalation import Roster
from udfs.alerting.escalation_chain import Chain, Person, Repeat, Resolve, TellPeople, TellReceiver, Wait
from udfs.alerting.escalations import EscalationRule, EscalationSettings
from udfs.alerting.maintenance import MaintenanceWindow
from udfs.alerting.matcher import Matcher, MatchKind
from udfs.alerting.notification import NotificationReason
from udfs.alerting.records import Record
from udfs.alerting.route import Route
from udfs.alerting.settings import Channel, DispatchSettings

START_MS = to_at_ms("2026-11-02T12:00:00Z")
MINUTE_MS = 60_000
CHAIN = Chain(
    steps=(
        Wait(duration="5m"),
        TellPeople(people=("ada",)),
        Wait(duration="10m"),
        TellReceiver(receiver="team"),
        TellPeople(people=("bob",)),
    )
)
CHANNELS = {name: (Channel("webhook[0]", True),) for name in ("team", "ada", "bob")}
GROUP = '{}:{alertname="slow"}'


class Office:
    """A dispatcher whose notices all arrive at once, and what was told, as minute, receiver and reason."""

    def __init__(self, chain: Chain = CHAIN, *, restarts: bool = False, **settings: Any) -> None:
        people = {name: Person(receivers=(name,)) for name in ("ada", "bob")}
        escalation = EscalationSettings(
            rules=(EscalationRule(chain="c"),), chains={"c": chain}, roster=Roster(people=people)
        )
        route = Route(receiver="team", group_by=("alertname",))
        fields: dict[str, Any] = {"route": route, "receivers": CHANNELS, "escalation": escalation}
        self.settings = DispatchSettings(**fields | settings)
        self.now_ms = START_MS
        self.restarts = restarts
        self.kept: dict[tuple[str, str], bytes | None] = {}
        self.dispatcher = Dispatcher(self.settings, START_MS)
        self.told: list[tuple[float, str, str]] = []
        self.reasons: list[DecisionReason] = []
        self.alert = Alert(labels={"alertname": "slow"}, starts_at_ms=START_MS, updated_at_ms=START_MS)

    def send(self, *, resolved: bool = False) -> None:
        """Let the alert fire or end."""
        end = self.now_ms if resolved else START_MS + 10**9
        alert = replace(self.alert, updated_at_ms=self.now_ms, ends_at_ms=end)
        if not resolved and GROUP not in {group.key for group in self.dispatcher.groups}:
            alert = replace(alert, starts_at_ms=self.now_ms)
        self.take(self.dispatcher.on_alerts([alert], self.now_ms))

    def acknowledge(self) -> None:
        """Let somebody take the group on."""
        try:
            self.take(self.dispatcher.acknowledge(GROUP, "ada", "on it", self.now_ms))
        except KeyError:
            return

    def pass_time(self, minutes: float) -> None:
        """Let time go by."""
        self.restart()
        end_ms = self.now_ms + int(minutes * MINUTE_MS)
        while (at_ms := self.dispatcher.next_wake_at_ms()) is not None and at_ms <= end_ms:
            self.now_ms = max(self.now_ms, at_ms)
            self.take(self.dispatcher.advance(self.now_ms))
        self.now_ms = end_ms

    def take(self, step: Any) -> None:
        """Deliver what is to be told, and go on in another process if so wanted."""
        self.reasons += [decision.reason for decision in step.decisions]
        for notice in step.notifications:
            self.told.append(((self.now_ms - START_MS) / MINUTE_MS, notice.receiver, notice.reason.value))
            self.restart()
            self.dispatcher.on_sent(notice.notification_id, self.now_ms)

    def restart(self) -> None:
        """Go on from what was kept."""
        self.kept |= {(kind, key): value for kind, key, value in self.dispatcher.take_changes()}
        if self.restarts:
            records = [Record(kind, key, value) for (kind, key), value in self.kept.items()]
            self.dispatcher = Dispatcher(self.settings, self.now_ms, records)


def test_the_chain_begins_with_the_first_look_and_those_it_paged_hear_of_the_end() -> None:
    office = Office()
    office.send()
    office.pass_time(12)
    office.send(resolved=True)
    office.pass_time(30)
    assert office.told == [
        (0.5, "team", "first_notification"),
        (5.5, "ada", "escalated"),
        (15.5, "team", "all_alerts_resolved"),
        (15.5, "ada", "all_alerts_resolved"),
    ]
    assert office.dispatcher.escalations.running == {}


def test_an_acknowledgement_stops_the_chain_and_the_repeats_and_is_told() -> None:
    office = Office()
    office.send()
    office.pass_time(6)
    office.acknowledge()
    office.pass_time(10 * 60)
    assert office.told == [
        (0.5, "team", "first_notification"),
        (5.5, "ada", "escalated"),
        (6, "team", "acknowledged"),
        (6, "ada", "acknowledged"),
    ]
    office.send(resolved=True)
    office.pass_time(10)
    assert [told[1:] for told in office.told[4:]] == [("team", "all_alerts_resolved"), ("ada", "all_alerts_resolved")]


def test_a_step_by_hand_comes_at_once() -> None:
    office = Office()
    office.send()
    office.pass_time(1)
    office.take(office.dispatcher.escalate(GROUP, "bob", office.now_ms))
    assert office.told[-1] == (1.0, "ada", "escalated")
    assert DecisionReason.ESCALATED_BY_HAND in office.reasons


def test_the_chain_ends_the_alerts_with_its_last_step() -> None:
    office = Office(Chain(steps=(Wait(duration="5m"), TellPeople(people=("ada",)), Wait(duration="1h"), Resolve())))
    office.send()
    office.pass_time(80)
    assert DecisionReason.ESCALATION_RESOLVED in office.reasons
    assert [told[1:] for told in office.told[-2:]] == [("team", "all_alerts_resolved"), ("ada", "all_alerts_resolved")]


def test_other_settings_keep_the_place_in_the_chain() -> None:
    office = Office()
    office.send()
    office.pass_time(6)
    route = Route(receiver="team", group_by=("alertname",), repeat_interval_ms=60_000_000)
    office.take(office.dispatcher.on_settings(replace(office.settings, route=route), office.now_ms))
    office.pass_time(12)
    assert [told for told in office.told if told[2] == "escalated"] == [
        (5.5, "ada", "escalated"),
        (15.5, "team", "escalated"),
        (15.5, "bob", "escalated"),
    ]


def test_a_maintenance_window_silences_what_matches_and_pauses_its_chain() -> None:
    window = MaintenanceWindow(name="move", starts="2026-11-02T12:03", ends="2026-11-02T12:23")
    matcher = Matcher("alertname", MatchKind.EQUAL, "slow")
    office = Office(maintenance=(Maintenance(window=window, matchers=(matcher,)),))
    office.send()
    office.pass_time(40)
    assert [told for told in office.told if told[2] == "escalated"] == [
        (23, "ada", "escalated"),
        (33, "team", "escalated"),
        (33, "bob", "escalated"),
    ]
    (silence,) = office.dispatcher.silences.by_id.values()
    assert (silence.created_by, silence.comment) == ("maintenance", "move")
    assert (silence.starts_at_ms, silence.ends_at_ms) == (START_MS + 3 * MINUTE_MS, START_MS + 23 * MINUTE_MS)


def test_a_window_that_leaves_the_configuration_ends_its_silence() -> None:
    window = MaintenanceWindow(name="move", starts="2026-11-02T12:00", ends="2026-11-02T13:00")
    matcher = Matcher("alertname", MatchKind.EQUAL, "slow")
    office = Office(maintenance=(Maintenance(window=window, matchers=(matcher,)),))
    office.send()
    office.pass_time(10)
    assert office.told == []
    office.take(office.dispatcher.on_settings(replace(office.settings, maintenance=()), office.now_ms))
    office.pass_time(1)
    # The alert is older than the group wait, and the first step of the chain has been due for long.
    assert office.told == [(10, "team", "first_notification"), (10.25, "ada", "escalated")]


days = st.lists(
    st.one_of(
        st.floats(0, 300).map(lambda minutes: ("pass", minutes)),
        st.sampled_from([("send", 0.0), ("resolve", 0.0), ("acknowledge", 0.0)]),
    ),
    max_size=15,
)


@given(days)
def test_a_restart_at_any_point_changes_nothing(day: list[tuple[str, float]]) -> None:
    repeating = Chain(steps=(*CHAIN.steps, Wait(duration="30m"), Repeat(times=2)))
    window = MaintenanceWindow(name="w", starts="2026-11-02T12:20", repeats="FREQ=HOURLY", duration="10m")
    calendar = (Maintenance(window=window, matchers=(Matcher("alertname", MatchKind.EQUAL, "slow"),)),)
    offices = [Office(repeating, restarts=restarts, maintenance=calendar) for restarts in (False, True)]
    acts: list[tuple[str, float]] = [("send", 0.0), *day]
    for office in offices:
        for act, minutes in acts:
            if act == "pass":
                office.pass_time(minutes)
            elif act == "acknowledge":
                office.acknowledge()
            else:
                office.send(resolved=act == "resolve")
    assert offices[0].told == offices[1].told
    assert offices[0].dispatcher.escalations.running == offices[1].dispatcher.escalations.running
    reasons = {reason for _, _, reason in offices[0].told}
    assert reasons <= {reason.value for reason in NotificationReason}
