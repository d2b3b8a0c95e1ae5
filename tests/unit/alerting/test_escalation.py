"""Escalation in virtual time: laws over made-up chains and days, and the meaning of each step."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.alert import ActiveHours, AlertSchedule
from schemas.time import to_at_ms
from udfs.alerting.alert import Alert
from udfs.alerting.decision import DecisionReason
from udfs.alerting.escalation import GroupView, Page, Roster
from udfs.alerting.escalation_chain import (
    Chain,
    OnlyDuring,
    OnlyIf,
    Person,
    Repeat,
    Resolve,
    Step,
    TellNext,
    TellOnCall,
    TellPeople,
    TellReceiver,
    Wait,
    check_chain,
)
from udfs.alerting.escalations import EscalationRule, Escalations, EscalationSettings
from udfs.alerting.matcher import Matcher, MatchKind
from udfs.alerting.on_call_schedule import Layer, OnCallSchedule
from udfs.alerting.records import Record

START_MS = to_at_ms("2026-11-02T12:00:00Z")
MINUTE_MS = 60_000
ROSTER = Roster(
    people={
        "ada": Person(receivers=("ada-chat",), important=("ada-phone",)),
        "bob": Person(receivers=("bob-mail", "bob-chat")),
    },
    schedules={
        "ops": OnCallSchedule(layers=(Layer(name="day", people=("ada", "bob"), first_turn="2026-11-02T09:00"),)),
        "later": OnCallSchedule(layers=(Layer(name="day", people=("ada",), first_turn="2027-01-01T09:00"),)),
    },
)
RECEIVERS = ("team", "ada-chat", "ada-phone", "bob-mail", "bob-chat")


class Told(NamedTuple):
    """Somebody was told, minutes after the start."""

    minute: float
    receiver: str
    person: str


class Day:
    """One group in virtual time: what it is told of, and by which decisions."""

    def __init__(self, *steps: Step, restarts: bool = False, timeout: str | None = None) -> None:
        chain = Chain(steps=steps, acknowledge_timeout=timeout)
        check_chain(chain, RECEIVERS, ROSTER.people.keys(), ROSTER.schedules)
        self.settings = EscalationSettings(rules=(EscalationRule(chain="c"),), chains={"c": chain}, roster=ROSTER)
        self.book = Escalations(self.settings)
        self.kept: dict[tuple[str, str], bytes | None] = {}
        self.restarts = restarts
        self.now_ms = START_MS
        self.alerts: tuple[Alert, ...] = ()
        self.muted_by = ""
        self.pages: list[tuple[int, Page]] = []
        self.reasons: list[DecisionReason] = []

    def fire(self, count: int = 1) -> None:
        """Let more alerts fire."""
        number = len(self.alerts)
        self.alerts += tuple(
            Alert(labels={"n": str(number + each)}, starts_at_ms=self.now_ms, updated_at_ms=self.now_ms)
            for each in range(count)
        )
        self.look()

    def resolve(self) -> None:
        """End all alerts."""
        self.alerts = ()
        self.look()

    def silence(self, by: str) -> None:
        """Silence the group, or end that."""
        self.muted_by = by
        self.look()

    def acknowledge(self, minutes: int | None = None) -> None:
        """Take it on."""
        until_ms = None if minutes is None else self.now_ms + minutes * MINUTE_MS
        self.reasons.append(self.book.acknowledge("g", self.view(), "ada", "on it", self.now_ms, until_ms).reason)

    def pass_time(self, minutes: float) -> None:
        """Let time go by, looking when the book wants it."""
        end_ms = self.now_ms + int(minutes * MINUTE_MS)
        while (next_ms := self.book.next_at_ms) is not None and next_ms <= end_ms:
            self.now_ms = max(self.now_ms, next_ms)
            for group_id in self.book.due(self.now_ms):
                assert group_id == "g"
                self.look()
        self.now_ms = end_ms

    def look(self) -> None:
        """Look at the group now; with restarts, in a new process."""
        self.restart()
        found = self.book.look("g", self.view(), self.now_ms)
        self.pages += [(self.now_ms, page) for page in found.pages]
        self.reasons += [decision.reason for decision in found.decisions]
        if found.resolves:
            self.alerts = ()

    def restart(self) -> None:
        """Go on from what was kept."""
        self.kept |= {(record.kind, record.key): record.value for record in self.book.take_changes()}
        if self.restarts:
            self.book = Escalations(self.settings, [Record(*key, value) for key, value in self.kept.items()])

    def view(self) -> GroupView:
        """Return the group as it is now."""
        return GroupView(group_key="g", receiver="team", firing=self.alerts, muted_by=self.muted_by)

    @property
    def told(self) -> list[Told]:
        """Who was told, and when."""
        return [Told((at_ms - START_MS) / MINUTE_MS, page.receiver, page.person) for at_ms, page in self.pages]


waits = st.sampled_from(["1s", "90s", "5m", "30m", "24h"]).map(lambda text: Wait(duration=text))
steps = st.one_of(
    waits,
    waits,
    st.just(TellReceiver(receiver="team")),
    st.sampled_from([("ada",), ("ada", "bob")]).map(lambda people: TellPeople(people=people)),
    st.sampled_from(["ops", "later"]).map(lambda name: TellOnCall(schedule=name, important=True)),
    st.just(TellNext(people=("ada", "bob"))),
    st.just(OnlyDuring(hours=AlertSchedule(active_hours=ActiveHours(start="22:00", end="14:00")))),
    st.integers(1, 4).map(lambda number: OnlyIf(alerts=number, within="1h")),
)
chains = st.tuples(
    st.lists(steps, max_size=8).map(tuple),
    st.just((TellReceiver(receiver="team"), Wait(duration="1m"))),
    st.integers(0, 5).map(lambda times: (Repeat(times=times),) if times else ()),
    st.booleans().map(lambda ends: (Resolve(),) if ends else ()),
).map(lambda parts: sum(parts, ()))
Act = Callable[[Day], None]
acts: st.SearchStrategy[Act] = st.one_of(
    st.floats(0, 600).map(lambda minutes: lambda day: day.pass_time(minutes)),
    st.integers(1, 3).map(lambda count: lambda day: day.fire(count)),
    st.just(Day.resolve),
    st.sampled_from(["", "silence-1"]).map(lambda by: lambda day: day.silence(by)),
    st.none().map(lambda _: Day.acknowledge),
    st.integers(1, 90).map(lambda minutes: lambda day: day.acknowledge(minutes)),
    st.just(Day.look),
)
days = st.lists(acts, max_size=25)


@given(chains, days, st.sampled_from([None, "30m"]))
def test_a_restart_between_any_two_steps_changes_nothing(
    chain: tuple[Step, ...], day: list[Act], timeout: str | None
) -> None:
    straight, restarted = Day(*chain, timeout=timeout), Day(*chain, restarts=True, timeout=timeout)
    for each in (straight, restarted):
        for act in (Day.fire, *day):
            act(each)
    assert restarted.pages == straight.pages
    assert restarted.reasons == straight.reasons
    assert restarted.book.running == straight.book.running


@given(chains, days)
def test_nobody_is_told_while_it_is_acknowledged_resolved_or_silenced(chain: tuple[Step, ...], day: list[Act]) -> None:
    here = Day(*chain)
    for act in (Day.fire, *day):
        act(here)
    for stop in (Day.acknowledge, lambda each: each.silence("silence-1"), Day.resolve):
        before = len(here.pages)
        stop(here)
        here.pass_time(4 * 60)
        assert len(here.pages) == before


@given(chains, days)
def test_no_step_is_done_twice_in_a_round_nor_a_round_more_than_allowed(
    chain: tuple[Step, ...], day: list[Act]
) -> None:
    here = Day(*chain)
    for act in (Day.fire, *day):
        act(here)
    here.silence("")
    here.pass_time(30 * 24 * 60)
    done = [(at.begun_at_ms, at.repeated, at.step, at.receiver, at.person) for _, at in here.pages]
    # Two chains may begin at the same instant, when the alerts resolve and fire again without time between.
    begun = here.reasons.count(DecisionReason.ESCALATION_BEGUN)
    assert max(done.count(each) for each in done) <= begun if done else True
    times = next((step.times for step in chain if isinstance(step, Repeat)), 0)
    assert all(page.repeated <= times for _, page in here.pages)
    assert here.reasons.count(DecisionReason.ESCALATION_REPEATED) <= times * begun


@given(chains, st.lists(st.floats(0, 30), max_size=20))
def test_looking_more_often_than_asked_changes_nothing(chain: tuple[Step, ...], pauses: list[float]) -> None:
    asked, restless = Day(*chain), Day(*chain)
    asked.fire()
    asked.pass_time(sum(int(pause * MINUTE_MS) for pause in pauses) / MINUTE_MS)
    restless.fire()
    for pause in pauses:
        restless.pass_time(pause)
        restless.look()
    # Only what a look finds at the very end may be ahead.
    asked.look()
    assert restless.pages == asked.pages


def test_steps_follow_one_another_with_their_waits() -> None:
    day = Day(
        TellReceiver(receiver="team"),
        Wait(duration="5m"),
        TellOnCall(schedule="ops"),
        Wait(duration="10m"),
        TellOnCall(schedule="ops", important=True),
        TellPeople(people=("bob",)),
    )
    day.fire()
    day.pass_time(60)
    assert day.told == [
        (0, "team", ""),
        (5, "ada-chat", "ada"),
        (15, "ada-phone", "ada"),
        (15, "bob-mail", "bob"),
        (15, "bob-chat", "bob"),
    ]
    assert day.reasons[-1] is DecisionReason.ESCALATION_EXHAUSTED


def test_an_acknowledgement_stops_the_chain_until_the_alerts_resolve() -> None:
    day = Day(TellReceiver(receiver="team"), Wait(duration="5m"), TellPeople(people=("ada",)))
    day.fire()
    day.pass_time(4)
    day.acknowledge()
    day.pass_time(600)
    assert day.told == [(0, "team", "")]
    day.resolve()
    assert day.book.acknowledgement("g") is None
    day.fire()
    assert day.told[-1] == (604, "team", "")


def test_the_chain_goes_on_where_it_stood_when_an_acknowledgement_runs_out() -> None:
    day = Day(TellReceiver(receiver="team"), Wait(duration="5m"), TellPeople(people=("ada",)), timeout="30m")
    day.fire()
    day.pass_time(1)
    day.acknowledge()
    day.pass_time(60)
    assert day.told == [(0, "team", ""), (31, "ada-chat", "ada")]
    assert DecisionReason.ACKNOWLEDGEMENT_EXPIRED in day.reasons


def test_a_silence_holds_the_step_that_is_due_until_it_ends() -> None:
    day = Day(TellReceiver(receiver="team"), Wait(duration="5m"), TellPeople(people=("ada",)))
    day.fire()
    day.silence("silence-1")
    day.pass_time(20)
    assert day.reasons.count(DecisionReason.ESCALATION_PAUSED) == 1
    day.silence("")
    day.pass_time(1)
    # It is looked at again every 15 s.
    assert day.told == [(0, "team", ""), (20.25, "ada-chat", "ada")]


def test_turns_go_round_over_all_groups() -> None:
    day = Day(TellNext(people=("ada", "bob")))
    for _ in range(3):
        day.fire()
        day.pass_time(1)
        day.resolve()
    assert [told.person for told in day.told if told.receiver != "bob-chat"] == ["ada", "bob", "ada"]


def test_a_chain_waits_for_its_hours_and_for_enough_alerts() -> None:
    hours = AlertSchedule(timezone="Europe/Berlin", active_hours=ActiveHours(start="14:00", end="18:00"))
    day = Day(OnlyDuring(hours=hours), OnlyIf(alerts=3, within="10m"), TellReceiver(receiver="team"))
    day.fire(1)
    day.pass_time(70)
    assert day.told == []
    day.fire(2)
    assert day.told == []
    day.fire(1)
    assert day.told == [(70, "team", "")]
    assert day.reasons == [
        DecisionReason.ESCALATION_BEGUN,
        DecisionReason.ESCALATION_OUTSIDE_HOURS,
        DecisionReason.ESCALATION_TOO_FEW_ALERTS,
        DecisionReason.ESCALATED,
        DecisionReason.ESCALATION_EXHAUSTED,
    ]


def test_nobody_on_call_is_said_and_the_next_step_follows_at_once() -> None:
    day = Day(TellOnCall(schedule="later"), TellReceiver(receiver="team"))
    day.fire()
    assert day.told == [(0, "team", "")]
    assert DecisionReason.NOBODY_ON_CALL in day.reasons


def test_a_chain_repeats_as_often_as_it_says_and_then_resolves() -> None:
    day = Day(TellReceiver(receiver="team"), Wait(duration="1h"), Repeat(times=2), Resolve())
    day.fire()
    day.pass_time(600)
    assert [told.minute for told in day.told] == [0, 60, 120]
    assert day.alerts == ()
    assert day.reasons[-1] is DecisionReason.ESCALATION_RESOLVED


def test_a_standstill_delays_the_steps_and_does_not_pile_them_up() -> None:
    day = Day(
        TellReceiver(receiver="team"),
        Wait(duration="5m"),
        TellPeople(people=("ada",)),
        Wait(duration="5m"),
        TellPeople(people=("ada",), important=True),
    )
    day.fire()
    day.now_ms += 60 * MINUTE_MS
    day.pass_time(20)
    assert day.told == [(0, "team", ""), (60, "ada-chat", "ada"), (65, "ada-phone", "ada")]


def test_somebody_can_make_the_next_step_due_at_once() -> None:
    day = Day(TellReceiver(receiver="team"), Wait(duration="1h"), TellPeople(people=("ada",)))
    day.fire()
    day.pass_time(1)
    day.acknowledge()
    day.book.escalate("g", day.view(), "bob", day.now_ms)
    day.pass_time(0)
    assert day.told == [(0, "team", ""), (1, "ada-chat", "ada")]
    with pytest.raises(ValueError, match="g2 is in no escalation chain"):
        day.book.escalate("g2", replace(day.view(), group_key="g2"), "bob", day.now_ms)


def test_the_first_rule_that_applies_says_which_chain() -> None:
    critical = Matcher("severity", MatchKind.EQUAL, "critical")
    chains_ = {name: Chain(steps=(TellReceiver(receiver=name),)) for name in ("urgent", "mail", "rest")}
    rules = (
        EscalationRule(chain="urgent", matchers=(critical,)),
        EscalationRule(chain="mail", receiver="mail"),
        EscalationRule(chain="rest", receiver="team"),
    )
    for severity, receiver, chain in (
        ("critical", "mail", "urgent"),
        ("info", "mail", "mail"),
        ("info", "team", "rest"),
        ("info", "x", None),
    ):
        book = Escalations(EscalationSettings(rules=rules, chains=chains_))
        alert = Alert(labels={"severity": severity}, starts_at_ms=START_MS, updated_at_ms=START_MS)
        found = book.look("g", GroupView(group_key="g", receiver=receiver, firing=(alert,)), START_MS)
        assert [page.receiver for page in found.pages] == ([] if chain is None else [chain])


@pytest.mark.parametrize(
    ("chain", "problem"),
    [
        ((Wait(duration="5m"),), "steps: the chain tells nobody"),
        ((TellReceiver(receiver="x"),), r"steps\[0\].receiver: there is no receiver x; there are ada-chat, "),
        ((TellPeople(people=("ada", "x")),), r"steps\[0\].people\[1\]: there is no person x; there are ada, bob"),
        ((TellOnCall(schedule="x"),), r"steps\[0\].schedule: there is no schedule x; there are later, ops"),
        ((TellOnCall(schedule="ops", layer="x"),), r"steps\[0\].layer: there is no layer x; there are day"),
        ((TellReceiver(receiver="team"), Wait(duration="2d")), r"steps\[1\].duration: 2d is not between 1s and 24h"),
        ((TellReceiver(receiver="team"), Repeat(times=2)), r"steps\[1\]: without waits of 1m in all"),
        ((Resolve(), TellReceiver(receiver="team")), r"steps\[0\]: nothing follows resolve"),
        ((TellReceiver(receiver="team"), OnlyIf(alerts=1, within="0s")), r"steps\[1\].within: 0 is no time"),
        (
            (TellReceiver(receiver="team"), OnlyDuring(hours=AlertSchedule(timezone="X"))),
            r"steps\[1\].hours.timezone: X is no time zone",
        ),
        (
            (TellReceiver(receiver="team"), Wait(duration="5m"), Repeat(times=1), Repeat(times=1)),
            r"steps\[3\]: there is a repeat already",
        ),
    ],
)
def test_a_chain_that_cannot_be_gone_through_is_refused_with_its_place(chain: tuple[Step, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_chain(Chain(steps=chain), RECEIVERS, ROSTER.people.keys(), ROSTER.schedules)
