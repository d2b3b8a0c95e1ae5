"""Casebook: a working copy of one tenant's state during one step, with the actions that change it.

It decides nothing: what evidence joins is decided in `routing.py`, what opens in `opening.py`.
"""

from collections.abc import Iterable

from msgspec import msgpack
from msgspec.structs import replace

from schemas.anomaly import Severity
from schemas.incident import Incident
from udfs.correlation.forwarded import REMEMBER_MS, forgotten
from udfs.correlation.ongoing import Ongoing, folded, grown
from udfs.correlation.report import incident_of
from udfs.correlation.settings import CorrelationSettings
from udfs.correlation.severity import severity_of
from udfs.correlation.state import Cell, CorrelationState
from udfs.correlation.waiting import KEEP_MS, WaitingLists, latest, shares_of
from udfs.correlation.witness import Concern, Witness, digest
from udfs.identity import incident_id

CLOSE_GRACE_MS = 30_000
MAX_OPEN = 32
MAX_CLOSED = 12
"""Closed incidents that late evidence can still join, for as long as witnesses wait."""
MAX_CALLS = 128
MAX_USED_IDS = 512
MAX_BACKGROUNDS = 64
TICK_MS = 1_000
"""Wake-ups fall on whole seconds, so that a storm does not ask for a timer per anomaly."""

ENCODER = msgpack.Encoder()
DECODER = msgpack.Decoder(Ongoing)


class Casebook:
    """A tenant's incidents and waiting witnesses while one input is worked on; `finish` ends the step."""

    def __init__(self, settings: CorrelationSettings, state: CorrelationState) -> None:
        """Open the casebook of a state, which stays as it is."""
        self.settings = settings
        self.tenant_id = state.tenant_id
        self.forwarded = state.forwarded
        self.incidents = dict(state.incidents)
        self.waiting = WaitingLists(state.waiting, settings.window_ms)
        self.backgrounds = dict(state.backgrounds)
        self.calls = dict(state.calls)
        self.used_ids = state.used_ids
        self.notices = dict(state.notices)
        self.bodies: dict[str, Ongoing] = {}
        self.urgent: set[str] = set()
        self.gone: set[str] = set()
        self.outputs: list[Incident] = []

    def open_ids(self) -> list[str]:
        """Return the ids of the open incidents, oldest first."""
        return [identifier for identifier, cell in self.incidents.items() if cell.is_open]

    def near(self, scope: str, at_ms: int, concern: str | None = None, *, is_open: bool = True) -> str | None:
        """Return the id of the newest incident of a scope that evidence of a time may join, None if there is none.

        With a concern, only of incidents that have evidence of it. A closed one is joined only by late evidence: of
        the time in which it had evidence, or a window around it.
        """
        window_ms = self.settings.window_ms
        for identifier, cell in reversed(self.incidents.items()):
            if cell.scope != scope or cell.is_open is not is_open:
                continue
            end_ms = cell.closing_at_ms if is_open else cell.last_at_ms + window_ms
            is_near = cell.first_at_ms - window_ms <= at_ms <= min(end_ms, cell.limit_at_ms)
            if is_near and (concern is None or concern in cell.concerns):
                return identifier
        return None

    def body(self, identifier: str) -> Ongoing:
        """Return what is kept of an incident."""
        found = self.bodies.get(identifier)
        return DECODER.decode(self.incidents[identifier].body) if found is None else found

    def join(self, identifier: str, witness: Witness) -> None:
        """Let a witness join an incident, with those that wait and share a call with it.

        A warning of an entity that takes part for the first time does not prolong the incident: stray warnings among
        many applications would keep it open for ever.
        """
        before = self.body(identifier)
        self.tell(identifier, before, grown(before, witness))
        cell = self.incidents[identifier]
        if not witness.is_info:
            wider = cell
            # A guest, there because of a call in common, does not make the incident one of another provider.
            if witness.place.is_within(cell.scope):
                wider = replace(
                    cell,
                    shares=latest(cell.shares, shares_of(witness)),
                    concerns=tuple(dict.fromkeys((*cell.concerns, witness.concern))),
                )
            is_stray = witness.is_weak and before.revision > 0 and witness.place.id not in before.parties
            last_ms = cell.last_at_ms if is_stray else witness.last_at_ms
            self.incidents[identifier] = self.stretched(wider, witness.first_at_ms, last_ms)
        for holder, call in self.note_calls(witness, identifier):
            for linked in self.waiting.take_with_call(holder, call):
                self.join(identifier, linked)

    def stretched(self, cell: Cell, first_at_ms: int, last_at_ms: int) -> Cell:
        """Return a cell that reaches over more time and, if it is open, closes accordingly."""
        first_at_ms, last_at_ms = min(cell.first_at_ms, first_at_ms), max(cell.last_at_ms, last_at_ms)
        closing_at_ms = cell.closing_at_ms
        if cell.is_open:
            closing_at_ms = min(last_at_ms + self.settings.quiet_ms + CLOSE_GRACE_MS, cell.limit_at_ms)
        return replace(cell, first_at_ms=first_at_ms, last_at_ms=last_at_ms, closing_at_ms=closing_at_ms)

    def open(self, scope: str, witnesses: Iterable[Witness], children: Iterable[str], at_ms: int) -> str:
        """Return the incident of a scope that now has the witnesses and the children folded into it.

        It is the one that is near, or a new one; with 32 open already and none to fold, it is the tenant's own, so
        that a storm costs a bounded number of incidents. Either witnesses or children are not empty.
        """
        witnesses, children = tuple(witnesses), tuple(children)
        identifier = self.near(scope, at_ms)
        if identifier is None and not children and len(self.open_ids()) >= MAX_OPEN:
            scope = f"tenant:{self.tenant_id}"
            identifier = self.near(scope, at_ms)
        if identifier is None:
            first_ms = min(
                *(witness.first_at_ms for witness in witnesses),
                *(self.incidents[child].first_at_ms for child in children),
                at_ms,
            )
            identifier = self.fresh_id(scope, first_ms)
            self.incidents[identifier] = Cell(scope, first_ms, first_ms, at_ms + self.settings.longest_ms)
            self.bodies[identifier] = Ongoing(identifier, self.tenant_id, scope, first_ms, first_ms)
            self.urgent.add(identifier)
        for witness in witnesses:
            self.join(identifier, witness)
        for child in children:
            self.fold(child, identifier, at_ms)
        return identifier

    def fresh_id(self, scope: str, first_ms: int) -> str:
        """Return the id of an incident that opens: of the bucket of its first evidence, or the next that is unused."""
        bucket = first_ms // self.settings.quiet_ms
        used = set(memoryview(self.used_ids).cast("Q"))
        while digest(identifier := incident_id(self.tenant_id or "", scope, bucket)) in used:
            bucket += 1
        self.used_ids = (self.used_ids + digest(identifier).to_bytes(8, "little"))[-8 * MAX_USED_IDS :]
        return identifier

    def fold(self, child: str, parent: str, at_ms: int) -> None:
        """Let one incident take the place of another, which closes, points to it and is not kept."""
        cell, body, before = self.incidents[child], self.body(child), self.body(parent)
        self.tell(parent, before, folded(before, body))
        into = self.incidents[parent]
        merged = replace(
            into,
            shares=latest(into.shares, cell.shares),
            concerns=tuple(dict.fromkeys((*into.concerns, *cell.concerns))),
        )
        self.incidents[parent] = self.stretched(merged, cell.first_at_ms, cell.last_at_ms)
        for call, holder in self.calls.items():
            if holder == child:
                self.calls[call] = parent
        self.bodies[child] = replace(body, parent_incident_id=parent)
        self.gone.add(child)
        self.close(child, max(at_ms, cell.last_at_ms))

    def close(self, identifier: str, at_ms: int) -> None:
        """Close an incident; it stays closed."""
        self.bodies[identifier] = replace(self.body(identifier), closed_at_ms=at_ms)
        self.incidents[identifier] = replace(self.incidents[identifier], is_open=False, closing_at_ms=at_ms)
        self.urgent.add(identifier)

    def point(self, identifier: str, parent_incident_id: str) -> None:
        """Let an incident point to the one it is a part of, once."""
        body = self.body(identifier)
        if body.parent_incident_id is None:
            self.bodies[identifier] = replace(body, parent_incident_id=parent_incident_id)
            self.urgent.add(identifier)

    def tell(self, identifier: str, before: Ongoing, body: Ongoing) -> None:
        """Keep an incident's new body; what readers act on is told at once, the rest may wait."""
        is_wider = len(body.parties) > len(before.parties) or len(body.families) > len(before.families)
        if is_wider or self.severity(body) is not self.severity(before):
            self.urgent.add(identifier)
        self.bodies[identifier] = body

    def severity(self, body: Ongoing) -> Severity:
        """Return the severity of an incident."""
        return severity_of(body.score, self.settings.open_score, self.settings.critical_score)

    def note_calls(self, witness: Witness, holder: str) -> list[tuple[str, int]]:
        """Note that an incident or waiting list has a witness's calls in evidence; return who had them before.

        An open incident keeps its calls, a waiting list keeps them from other lists. What was said in a call is a story
        of its own and is not noted.
        """
        if witness.concern == Concern.CONTENT:
            return []
        before = [(self.calls.get(call, ""), call) for call in witness.calls]
        for earlier, call in before:
            cell = self.incidents.get(earlier)
            is_held = cell is not None and cell.is_open
            if not is_held and (holder in self.incidents or earlier not in self.waiting.lists):
                self.calls.pop(call, None)
                self.calls[call] = holder
        while len(self.calls) > MAX_CALLS:
            del self.calls[next(iter(self.calls))]
        return before

    def wake(self, at_ms: int) -> None:
        """Do what is due: put out news, close what is quiet, forget what is over."""
        for identifier, cell in tuple(self.incidents.items()):
            if cell.due_at_ms > at_ms:
                continue
            if cell.is_open and cell.closing_at_ms <= at_ms:
                self.close(identifier, cell.closing_at_ms)
            elif self.body(identifier).is_dirty:
                self.urgent.add(identifier)
            if not cell.is_open and cell.closing_at_ms + KEEP_MS <= at_ms:
                self.gone.add(identifier)
        self.waiting.forget(at_ms)
        self.forwarded = forgotten(self.forwarded, at_ms)
        self.notices = {name: each for name, each in self.notices.items() if each.until_ms + KEEP_MS > at_ms}
        self.calls = {
            call: holder
            for call, holder in self.calls.items()
            if holder in self.incidents or holder in self.waiting.lists
        }

    def put_out(self, identifier: str, at_ms: int) -> None:
        """Write an incident back; put its state out if that is urgent, or if there is news and the last is old."""
        body, cell = self.bodies.pop(identifier, None), self.incidents[identifier]
        if body is None and identifier not in self.urgent:
            return
        body = self.body(identifier) if body is None else body
        told_ms = body.emitted_at_ms + self.settings.growth_ms
        if identifier in self.urgent or (body.is_dirty and at_ms >= told_ms):
            self.urgent.discard(identifier)
            told_ms = max(at_ms, body.emitted_at_ms)
            body = replace(body, revision=body.revision + 1, emitted_at_ms=told_ms, is_dirty=False)
            expires_ms = cell.closing_at_ms + (self.settings.quiet_ms if cell.is_open else 0)
            self.outputs.append(incident_of(body, self.settings.open_score, self.settings.critical_score, expires_ms))
        due_ms = cell.closing_at_ms if cell.is_open else cell.closing_at_ms + KEEP_MS
        if body.is_dirty:
            due_ms = min(due_ms, body.emitted_at_ms + self.settings.growth_ms)
        self.incidents[identifier] = replace(cell, due_at_ms=due_ms, body=ENCODER.encode(body))

    def finish(self, at_ms: int) -> tuple[CorrelationState | None, list[Incident], int | None]:
        """Return the state after the step, the incidents' new states and the next wake-up.

        `at_ms` is the time of the item or wake-up. The state is None when there is nothing left to remember.
        """
        touched = [each for each in self.incidents if each in self.bodies or each in self.urgent]
        # A reader meets the incident that took the place of others before those that point to it.
        for identifier in sorted(touched, key=lambda each: not self.incidents[each].is_open):
            self.put_out(identifier, at_ms)
        closed = [each for each, cell in self.incidents.items() if not cell.is_open and each not in self.gone]
        for identifier in (*self.gone, *closed[:-MAX_CLOSED]):
            del self.incidents[identifier]
        while len(self.backgrounds) > MAX_BACKGROUNDS:
            del self.backgrounds[next(iter(self.backgrounds))]
        state = CorrelationState(
            tenant_id=self.tenant_id,
            forwarded=self.forwarded,
            incidents=self.incidents,
            waiting=self.waiting.lists,
            backgrounds=self.backgrounds,
            calls=self.calls,
            used_ids=self.used_ids,
            notices=self.notices,
        )
        wake_at_ms = next_wake(state)
        return (None if wake_at_ms is None else state), self.outputs, wake_at_ms


def next_wake(state: CorrelationState) -> int | None:
    """Return when a state wants to be woken, None if there is nothing left in it to wait for."""
    dues = [cell.due_at_ms for cell in state.incidents.values()]
    dues += [each.newest_at_ms + KEEP_MS for each in state.waiting.values()]
    dues += [each.newest_at_ms + REMEMBER_MS for each in state.forwarded.generations]
    dues += [each.until_ms + KEEP_MS for each in state.notices.values()]
    return -(-min(dues) // TICK_MS) * TICK_MS if dues else None
