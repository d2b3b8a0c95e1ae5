"""Escalation of one group: a state machine of its chain, its alerts and time.

`advance` may be called at any time and as often as one likes: it does what is due and nothing twice. It is called when
it asks for it, and when an alert joins the group or the last one resolves. Whoever calls it late delays the steps, and
the waits after them, but leaves none out and never does several waits' worth at once.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from udfs.alerting.active_hours import is_active, next_active_at_ms
from udfs.alerting.alert import Alert
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.escalation_chain import (
    Chain,
    OnlyDuring,
    OnlyIf,
    Person,
    Repeat,
    Resolve,
    Step,
    Telling,
    TellNext,
    TellOnCall,
    TellPeople,
    TellReceiver,
    Wait,
)
from udfs.alerting.on_call import on_call
from udfs.alerting.on_call_schedule import OnCallSchedule
from udfs.alerting.wall_clock import duration_ms

CHECK_MS: Final = 15_000
"""How soon it is looked again whether a group may be told of."""


NEVER_MS: Final = 2**63


class Acknowledgement(Struct, frozen=True, array_like=True):
    """Somebody has taken the alerts of a group on."""

    person: str
    note: str
    at_ms: int
    until_ms: int | None = None
    """When the chain goes on if they still fire; None is never."""


class Escalation(Struct, frozen=True, array_like=True):
    """Where one group stands in its chain; about 100 bytes."""

    chain: str
    begun_at_ms: int
    due_at_ms: int
    """When the step is due."""
    step: int = 0
    """The next step, from 0; the number of steps when the chain is through."""
    repeated: int = 0
    acknowledgement: Acknowledgement | None = None
    held: str = ""
    """The reason that holds the chain up and has been told of already."""
    told: tuple[str, ...] = ()
    """The receivers that a step has told so far: they hear of the end, too."""


class GroupView(Struct, frozen=True, kw_only=True):
    """A group of alerts, as escalation looks at it."""

    group_key: str
    receiver: str
    firing: tuple[Alert, ...]
    muted_by: str = ""
    """What keeps all of its alerts from being told of: silence, inhibition, interval, maintenance; empty is nothing."""


class Page(NamedTuple):
    """Tell a receiver of a group, because of a step of its chain."""

    receiver: str
    person: str
    """Empty if the step names a receiver."""
    begun_at_ms: int
    repeated: int
    step: int


class Advance(NamedTuple):
    """What follows from one look at a group."""

    state: Escalation | None
    """None forgets it: the alerts are resolved."""
    wake_at_ms: int | None = None
    pages: tuple[Page, ...] = ()
    resolves: bool = False
    """Whether the alerts of the group are to be ended."""
    turns: tuple[int, ...] = ()
    """The round-robin steps that have taken a turn."""
    decisions: tuple[Decision, ...] = ()


class Roster(Struct, frozen=True, kw_only=True):
    """Who can be told."""

    people: Mapping[str, Person] = {}
    schedules: Mapping[str, OnCallSchedule] = {}


def begin(chain_name: str, now_ms: int) -> Escalation:
    """Return the state of a chain of which the first step is due now."""
    return Escalation(chain_name, now_ms, now_ms)


def acknowledge(
    state: Escalation, chain: Chain, person: str, note: str, now_ms: int, until_ms: int | None
) -> Escalation:
    """Return the state with an acknowledgement; a later one takes the place of an earlier."""
    if until_ms is None and chain.acknowledge_timeout is not None:
        until_ms = now_ms + duration_ms(chain.acknowledge_timeout)
    return replace(state, acknowledgement=Acknowledgement(person, note, now_ms, until_ms))


def advance(
    chain: Chain, state: Escalation, group: GroupView, roster: Roster, turns: Mapping[int, int], now_ms: int
) -> Advance:
    """Do what is due of a chain; `turns` says of round-robin steps how many turns have been taken so far."""
    look = _Look(chain, state, group, roster, turns, now_ms)
    if not group.firing:
        look.add(DecisionReason.ESCALATION_STOPPED)
        return Advance(None, decisions=tuple(look.decisions))
    wake_at_ms = look.acknowledged_until()
    return look.result(look.go() if wake_at_ms is None else wake_at_ms)


class _Look:
    """A working copy of one group's escalation during one look."""

    def __init__(
        self,
        chain: Chain,
        state: Escalation,
        group: GroupView,
        roster: Roster,
        turns: Mapping[int, int],
        now_ms: int,
    ) -> None:
        self.chain = chain
        self.state = state
        self.group = group
        self.roster = roster
        self.turns = turns
        self.now_ms = now_ms
        self.pages: list[Page] = []
        self.turned: list[int] = []
        self.decisions: list[Decision] = []
        self.resolves = False

    def result(self, wake_at_ms: int) -> Advance:
        """Return what has come of it."""
        return Advance(
            self.state,
            wake_at_ms if wake_at_ms < NEVER_MS else None,
            tuple(self.pages),
            self.resolves,
            tuple(self.turned),
            tuple(self.decisions),
        )

    def add(self, reason: DecisionReason, refers_to: str = "", receiver: str = "") -> None:
        """Take a decision down."""
        self.decisions.append(
            Decision(
                at_ms=self.now_ms,
                reason=reason,
                group_key=self.group.group_key,
                receiver=receiver or self.group.receiver,
                refers_to=refers_to,
            )
        )

    def acknowledged_until(self) -> int | None:
        """Return until when the group is acknowledged, None if it is not, or not any more."""
        taken_on = self.state.acknowledgement
        if taken_on is None:
            return None
        until_ms = NEVER_MS if taken_on.until_ms is None else taken_on.until_ms
        if self.now_ms < until_ms:
            return until_ms
        self.add(DecisionReason.ACKNOWLEDGEMENT_EXPIRED, taken_on.person)
        self.state = replace(self.state, acknowledgement=None)
        return None

    def go(self) -> int:
        """Do the steps that are due, and return when to look again."""
        while self.state.step < len(self.chain.steps):
            if self.now_ms < self.state.due_at_ms:
                return self.state.due_at_ms
            step = self.chain.steps[self.state.step]
            held = self.held(step)
            if held is not None:
                reason, refers_to, wake_at_ms = held
                if self.state.held != reason:
                    self.add(reason, refers_to)
                due_at_ms = wake_at_ms if wake_at_ms < NEVER_MS else self.state.due_at_ms
                self.state = replace(self.state, held=reason.value, due_at_ms=due_at_ms)
                return wake_at_ms
            self.do(step)
            if self.state.step == len(self.chain.steps) and not self.resolves:
                self.add(DecisionReason.ESCALATION_EXHAUSTED)
        return NEVER_MS

    def held(self, step: Step) -> tuple[DecisionReason, str, int] | None:
        """Return why a step that is due is not done yet: reason, what it refers to, and when to look again."""
        match step:
            case OnlyDuring() if not is_active(step.hours, self.now_ms):
                opens_at_ms = next_active_at_ms(step.hours, self.now_ms)
                return DecisionReason.ESCALATION_OUTSIDE_HOURS, "", opens_at_ms or self.now_ms + CHECK_MS
            case OnlyIf():
                since_ms = self.now_ms - duration_ms(step.within)
                count = sum(alert.starts_at_ms > since_ms for alert in self.group.firing)
                if count < step.alerts:
                    few = f"{count} of {step.alerts}"
                    return DecisionReason.ESCALATION_TOO_FEW_ALERTS, few, NEVER_MS
            case _ if isinstance(step, Telling | Resolve) and self.group.muted_by:
                return DecisionReason.ESCALATION_PAUSED, self.group.muted_by, self.now_ms + CHECK_MS
            case _:
                pass
        return None

    def do(self, step: Step) -> None:
        """Do one step and go to the next."""
        following, due_at_ms, repeated = self.state.step + 1, self.state.due_at_ms, self.state.repeated
        match step:
            case Wait():
                # From now, not from when it was due: after a standstill nobody is told everything at once.
                due_at_ms = self.now_ms + duration_ms(step.duration)
            case Repeat() if repeated < step.times:
                following, repeated = 0, repeated + 1
                self.add(DecisionReason.ESCALATION_REPEATED, str(repeated))
            case Resolve():
                self.add(DecisionReason.ESCALATION_RESOLVED)
                self.resolves = True
            case TellReceiver():
                self.tell(step.receiver, "")
            case TellPeople() | TellNext() | TellOnCall():
                for person in self.people_of(step):
                    for receiver in self.roster.people[person].reached_by(important=step.important):
                        self.tell(receiver, person)
            case _:
                pass
        self.state = replace(self.state, step=following, due_at_ms=due_at_ms, repeated=repeated, held="")

    def people_of(self, step: TellPeople | TellNext | TellOnCall) -> tuple[str, ...]:
        """Return whom a step tells now."""
        number = self.state.step
        if isinstance(step, TellPeople):
            return step.people
        if isinstance(step, TellNext):
            turn = self.turns.get(number, 0) + self.turned.count(number)
            self.turned.append(number)
            return (step.people[turn % len(step.people)],)
        found = on_call(self.roster.schedules[step.schedule], self.now_ms, step.layer)
        if found is None:
            self.add(DecisionReason.NOBODY_ON_CALL, step.schedule)
            return ()
        return (found[0],)

    def tell(self, receiver: str, person: str) -> None:
        """Tell a receiver, for a person or for itself."""
        state = self.state
        self.add(DecisionReason.ESCALATED, f"step {state.step + 1}" + (f": {person}" if person else ""), receiver)
        if receiver not in state.told:
            self.state = replace(state, told=(*state.told, receiver))
        self.pages.append(Page(receiver, person, state.begun_at_ms, state.repeated, state.step))
