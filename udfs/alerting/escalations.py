"""Escalations: all groups that are in a chain, which one begins for whom, and when to look again."""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from msgspec import Struct, msgpack
from msgspec.structs import replace

from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.escalation import Acknowledgement, Advance, Escalation, GroupView, Roster, acknowledge, advance
from udfs.alerting.escalation_chain import Chain
from udfs.alerting.matcher import Matcher, all_match
from udfs.alerting.records import Record

ESCALATION = "escalation"
"""Kind of the records of groups, by their identifier."""
TURNS = "turns"
"""Kind of the records of round robins, by chain: turns taken, by step."""

_NO_CHAIN = Chain(steps=())
"""Of a group that has been acknowledged, but is in no chain."""


class EscalationRule(Struct, frozen=True, kw_only=True):
    """Which groups go through a chain: those with an alert that fulfils the matchers, on their way to the receiver."""

    chain: str
    matchers: tuple[Matcher, ...] = ()
    receiver: str | None = None
    """None is any."""

    def applies(self, group: GroupView) -> bool:
        """Return whether a group goes through the chain."""
        if self.receiver is not None and self.receiver != group.receiver:
            return False
        return any(all_match(self.matchers, alert.labels) for alert in group.firing)


class EscalationSettings(Struct, frozen=True, kw_only=True):
    """The chains, who can be told, and which groups go through which; of the rules the first that applies counts."""

    rules: tuple[EscalationRule, ...] = ()
    chains: Mapping[str, Chain] = {}
    roster: Roster = Roster()


class Escalations:
    """The groups in a chain; a change of one is a record, and its records are all it needs to go on elsewhere."""

    def __init__(self, settings: EscalationSettings, records: Iterable[Record] = ()) -> None:
        """Go on from records, which may be of other settings."""
        self.settings = settings
        self.running: dict[str, Escalation] = {}
        self.turns: dict[str, dict[int, int]] = {}
        self._wakes: list[tuple[int, str]] = []
        self._wake_of: dict[str, int] = {}
        self._changed: dict[tuple[str, str], None] = {}
        for record in records:
            if record.kind == ESCALATION and record.value is not None:
                self.running[record.key] = state = _ESCALATION.decode(record.value)
                if (at_ms := self._due_at_ms(state)) is not None:
                    self._wake(record.key, at_ms)
            elif record.kind == TURNS and record.value is not None:
                self.turns[record.key] = _TURNS.decode(record.value)

    @property
    def next_at_ms(self) -> int | None:
        """When the next group is due, None if none ever is by itself."""
        while self._wakes and self._wake_of.get(self._wakes[0][1]) != self._wakes[0][0]:
            heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else None

    def due(self, now_ms: int) -> list[str]:
        """Return the identifiers of the groups to look at now, those longest due first; each is told once."""
        found = []
        while (at_ms := self.next_at_ms) is not None and at_ms <= now_ms:
            _, group_id = heappop(self._wakes)
            del self._wake_of[group_id]
            found.append(group_id)
        return found

    def look(self, group_id: str, group: GroupView, now_ms: int) -> Advance:
        """Begin the chain of a group if there is one for it, and do what is due of it."""
        self._wake_of.pop(group_id, None)
        state = self.running.get(group_id)
        begun: tuple[Decision, ...] = ()
        if state is None or (state.chain and state.chain not in self.settings.chains):
            rule = next((rule for rule in self.settings.rules if rule.applies(group)), None)
            if rule is None:
                self._keep(group_id, None)
                return Advance(None)
            taken_on = None if state is None else state.acknowledgement
            state = Escalation(rule.chain, now_ms, now_ms, acknowledgement=taken_on)
            begun = (_decision(group, DecisionReason.ESCALATION_BEGUN, rule.chain, now_ms),)
        chain = self.settings.chains.get(state.chain, _NO_CHAIN)
        turns = self.turns.get(state.chain, {})
        found = advance(chain, state, group, self.settings.roster, turns, now_ms)
        self._keep(group_id, found.state)
        if found.state is not None and found.wake_at_ms is not None:
            self._wake(group_id, found.wake_at_ms)
        if found.turns:
            self.turns[state.chain] = turns | {
                step: turns.get(step, 0) + found.turns.count(step) for step in found.turns
            }
            self._changed[TURNS, state.chain] = None
        return found._replace(decisions=begun + found.decisions)

    def joined(self, group_id: str, now_ms: int) -> None:
        """Take note that an alert has joined a group: a chain may have waited for it."""
        state = self.running.get(group_id)
        if state is not None and state.held == DecisionReason.ESCALATION_TOO_FEW_ALERTS:
            self._keep(group_id, replace(state, held=""))
            self._wake(group_id, now_ms)

    def acknowledge(
        self, group_id: str, group: GroupView, person: str, note: str, now_ms: int, until_ms: int | None = None
    ) -> Decision:
        """Take a group on: its chain stops until the alerts resolve, or until the given or the chain's time."""
        state = self.running.get(group_id) or Escalation("", now_ms, now_ms)
        chain = self.settings.chains.get(state.chain, _NO_CHAIN)
        self._keep(group_id, acknowledge(state, chain, person, note, now_ms, until_ms))
        self._wake(group_id, now_ms)
        return _decision(group, DecisionReason.ACKNOWLEDGED, person, now_ms)

    def escalate(self, group_id: str, group: GroupView, person: str, now_ms: int) -> Decision:
        """Make the next step of a group's chain due, acknowledged or not. Raises ValueError if it is in no chain."""
        state = self.running.get(group_id)
        if state is None or not state.chain:
            raise ValueError(f"{group.group_key} is in no escalation chain")
        self._keep(group_id, replace(state, acknowledgement=None, due_at_ms=now_ms))
        self._wake(group_id, now_ms)
        return _decision(group, DecisionReason.ESCALATED_BY_HAND, person, now_ms)

    @property
    def is_idle(self) -> bool:
        """Return whether no group is in a chain, and none ever will be."""
        return not self.running and not self.settings.rules

    def told(self, group_id: str) -> tuple[str, ...]:
        """Return the receivers that the chain of a group has told."""
        state = self.running.get(group_id)
        return () if state is None else state.told

    def acknowledgement(self, group_id: str) -> Acknowledgement | None:
        """Return who has taken a group on, None if nobody has."""
        state = self.running.get(group_id)
        return None if state is None else state.acknowledgement

    def take_changes(self) -> list[Record]:
        """Return what has changed since this was last asked, to be kept."""
        changed, self._changed = self._changed, {}
        return [Record(kind, key, self._bytes(kind, key)) for kind, key in changed]

    def records(self) -> list[Record]:
        """Return all that is kept, enough to go on from."""
        keys = [(ESCALATION, key) for key in self.running] + [(TURNS, key) for key in self.turns]
        return [Record(kind, key, self._bytes(kind, key)) for kind, key in keys]

    def _due_at_ms(self, state: Escalation) -> int | None:
        """Return when a group is to be looked at again, None if time alone changes nothing."""
        if state.acknowledgement is not None:
            return state.acknowledgement.until_ms
        chain = self.settings.chains.get(state.chain)
        if chain is None:
            return state.due_at_ms if state.chain else None
        is_through = state.step >= len(chain.steps)
        return None if is_through or state.held == DecisionReason.ESCALATION_TOO_FEW_ALERTS else state.due_at_ms

    def _bytes(self, kind: str, key: str) -> bytes | None:
        value = self.running.get(key) if kind == ESCALATION else self.turns.get(key)
        return None if value is None else msgpack.encode(value)

    def _keep(self, group_id: str, state: Escalation | None) -> None:
        if state == self.running.get(group_id):
            return
        if state is None:
            del self.running[group_id]
            self._wake_of.pop(group_id, None)
        else:
            self.running[group_id] = state
        self._changed[ESCALATION, group_id] = None

    def _wake(self, group_id: str, at_ms: int) -> None:
        self._wake_of[group_id] = at_ms
        heappush(self._wakes, (at_ms, group_id))
        if len(self._wakes) > 2 * len(self._wake_of) + 1_000:
            # Wakes that were put off stay in the heap until their time; here they become too many.
            self._wakes = [(at_ms, group_id) for group_id, at_ms in self._wake_of.items()]
            heapify(self._wakes)


_ESCALATION = msgpack.Decoder(Escalation)
_TURNS = msgpack.Decoder(dict[int, int])


def _decision(group: GroupView, reason: DecisionReason, refers_to: str, now_ms: int) -> Decision:
    return Decision(
        at_ms=now_ms, reason=reason, group_key=group.group_key, receiver=group.receiver, refers_to=refers_to
    )
