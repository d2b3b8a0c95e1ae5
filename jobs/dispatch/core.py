"""The part of dispatch that decides, and what follows of it for the outbox."""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
from msgspec import Struct

from jobs.dispatch.outbox.changes import Change, Dead, Decided, Drop, Keep, Plan, Publish, Sent, Wait
from jobs.dispatch.outbox.store import Loaded, StoredNotification
from jobs.topics import ACTIONS, ALERTS
from schemas.alert import AlertDefinition
from schemas.alert_change import AlertState
from udfs.alerting.alert import Alert, fingerprints
from udfs.alerting.alert_states import AlertStates, Standing
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.definitions import Definitions
from udfs.alerting.dispatcher import Dispatcher
from udfs.alerting.group import Group, key_of
from udfs.alerting.memory import Memory
from udfs.alerting.notification import Notification
from udfs.alerting.observation import Observation
from udfs.alerting.records import Record
from udfs.alerting.settings import DispatchSettings
from udfs.alerting.shield import actions_of
from udfs.alerting.silence import Silence
from udfs.alerting.step import Step

LOOKED_AT_ONCE = 2_000
"""Alerts whose standing is looked at again in one go, all of them one go after another: silences begin and end."""
GROUPS_AT_ONCE = 100
"""Groups that are looked at in one go, so that the first are written and told of while the others are looked at."""


class Batch(Struct, frozen=True):
    """What has to be written before anything of it may be told."""

    changes: tuple[Change, ...]
    notifications: tuple[Notification, ...]
    """To be sent when the changes are written."""
    withdrawn: tuple[str, ...]
    """Notifications that others have taken the place of."""
    decisions: tuple[Decision, ...]


class Core:
    """Alerts, silences and answers in; changes of the outbox out. No clock, no input or output of its own."""

    def __init__(
        self,
        settings: DispatchSettings,
        loaded: Loaded,
        now_ms: int,
        *,
        publishes: bool,
        definitions: Iterable[AlertDefinition] = (),
    ) -> None:
        """Go on from what the outbox holds; `publishes` says whether changes of alerts are written to Kafka."""
        records = [Record(kind, key, value) for kind, rows in loaded.kept.items() for key, value in rows.items()]
        self.dispatcher = Dispatcher(settings, now_ms, records)
        self.states = AlertStates(records)
        self.definitions = Definitions(definitions, records)
        self.memory = Memory(records)
        self._publishes = publishes
        self._seq = loaded.last_seq
        self._changes: list[Change] = []
        self._decisions: list[Decision] = []
        self._notifications: list[Notification] = []
        self._withdrawn: list[str] = []
        self._touched: dict[str, None] = dict.fromkeys(self.dispatcher.alerts)
        self._again: list[str] = []
        for identity, alert in self.dispatcher.alerts.items():
            self.states.expect_end(identity, alert)
        self.unsent = self._sort_out(loaded.open, now_ms)
        """What was open in the outbox and is still wanted."""

    # --- What happens ---------------------------------------------------------------------------------------------

    def take_alerts(self, alerts: Iterable[Alert], now_ms: int) -> None:
        """Take alerts as they were sent."""
        alerts = list(alerts)
        self._absorb(self.dispatcher.on_alerts(alerts, now_ms))
        labels = [{name: value for name, value in sent.labels.items() if value} for sent in alerts]
        for identity in fingerprints(labels):
            self._touched[identity] = None
            if (known := self.dispatcher.alerts.get(identity)) is not None:
                self.states.expect_end(identity, known)

    def put_silence(self, silence: Silence, now_ms: int) -> str:
        """Add or change a silence; raises ValueError as the dispatcher does."""
        identity = self.dispatcher.on_silence(silence, now_ms)
        self._again = []
        self._touched |= dict.fromkeys(self.dispatcher.alerts)
        return identity

    def expire_silence(self, silence_id: str, now_ms: int) -> None:
        """End a silence; raises KeyError if there is none."""
        self.dispatcher.expire_silence(silence_id, now_ms)
        self._touched |= dict.fromkeys(self.dispatcher.alerts)

    def take_settings(self, settings: DispatchSettings, now_ms: int) -> None:
        """Go on under other settings."""
        self._absorb(self.dispatcher.on_settings(settings, now_ms))

    def take_definitions(self, definitions: Iterable[AlertDefinition], now_ms: int) -> None:
        """Go on with other alert definitions; alerts of those that are gone end."""
        self._take_defined(self.definitions.take_definitions(definitions, now_ms), now_ms)

    def observe(self, seen: Observation, now_ms: int) -> None:
        """Let alert definitions look at an anomaly or a summary."""
        self._take_defined(self.definitions.take(seen, now_ms), now_ms)

    def acknowledge(self, identity: str, person: str, note: str, now_ms: int, until_ms: int | None = None) -> None:
        """Take an alert on, and those it is told of with, until they resolve or until a time.

        Raises KeyError if it is unknown, ValueError if it ended.
        """
        for group in self._firing_groups(identity, now_ms):
            self._absorb(self.dispatcher.acknowledge(group.key, person, note, now_ms, until_ms))
            self._touched |= dict.fromkeys(group.members)

    def escalate(self, identity: str, person: str, now_ms: int) -> None:
        """Make the next step of an alert's chain due. Raises KeyError if it is unknown, ValueError without a chain."""
        for group in self._firing_groups(identity, now_ms):
            self._absorb(self.dispatcher.escalate(group.key, person, now_ms))

    def sent(self, notification: Notification, detail: str, now_ms: int, reference: str = "") -> None:
        """Take note that the receiver took a notification, and what it calls it while its group is there."""
        identity = notification.notification_id
        self._changes.append(Sent(identity, now_ms, detail))
        self._absorb(self.dispatcher.on_sent(identity, now_ms))
        self.memory.refer(notification, reference if reference and self._is_there(notification.group_key) else "")

    def wait(
        self, notification: Notification, not_before_at_ms: int, detail: str, reached: frozenset[str] = frozenset()
    ) -> None:
        """Take note that a try has failed, for whom it has not, and when the next may follow."""
        if notification.notification_id in self.dispatcher.pending:
            self._changes.append(Wait(notification.notification_id, not_before_at_ms, detail))
            self.memory.reach(notification, reached)

    def failed(
        self, notification: Notification, detail: str, now_ms: int, reached: frozenset[str] = frozenset()
    ) -> None:
        """Take note that a notification is given up, after it has reached some; its group may be told of it anew."""
        identity, group_key = notification.notification_id, notification.group_key
        self._changes.append(Dead(identity, now_ms, detail))
        if identity in self.dispatcher.pending:
            self.memory.reach(notification, reached)
        self._absorb(self.dispatcher.on_failed(identity, now_ms))
        if group_key in self.memory.groups() and not self._is_there(group_key):
            self.memory.forget({group_key}, self.dispatcher.pending)

    def write(self, *changes: Change) -> None:
        """Have changes written that are nothing to decide on."""
        self._changes += changes

    def publish(self, topic: str, key: str, value: str) -> None:
        """Have a record written to Kafka, for sure."""
        self._seq += 1
        self._changes.append(Publish(self._seq, topic, key, value))

    # --- What follows ---------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> Batch:
        """Do what is due, as much as keeps nobody waiting, and return all that has to be written since the last time.

        What is left is due at `next_at_ms`, which is now.
        """
        self._take_defined(self.definitions.advance(now_ms), now_ms)
        self._absorb(self.dispatcher.advance(now_ms, GROUPS_AT_ONCE))
        self._touched |= dict.fromkeys(self.states.ended(now_ms))
        self._publish_changes(now_ms)
        for kind, key, value in self._records_changed():
            self._changes.append(Drop(kind, key) if value is None else Keep(kind, key, value))
        self._changes += [_decided(each) for each in self._decisions]
        self._changes += [_plan(each) for each in self._notifications]
        self._changes += [Dead(each, now_ms, DecisionReason.SUPERSEDED.value) for each in self._withdrawn]
        batch = Batch(tuple(self._changes), tuple(self._notifications), tuple(self._withdrawn), tuple(self._decisions))
        self._changes, self._notifications, self._withdrawn, self._decisions = [], [], [], []
        return batch

    def next_at_ms(self) -> int | None:
        """Return when `advance` has something to do next."""
        times = (self.dispatcher.next_wake_at_ms(), self.states.next_at_ms(), self.definitions.next_at_ms)
        return min((each for each in times if each is not None), default=None)

    def look_again(self) -> None:
        """Have the next alerts looked at again for changes that only time has brought."""
        if not self._again:
            self._again = list(self.dispatcher.alerts)
        self._touched |= dict.fromkeys(islice(self._again, LOOKED_AT_ONCE))
        del self._again[:LOOKED_AT_ONCE]

    def standing(self, identity: str, alert: Alert, now_ms: int) -> Standing:
        """Return where an alert stands."""
        if alert.is_resolved(now_ms):
            return Standing(AlertState.RESOLVED)
        if silences := self.dispatcher.silences.silencing(identity, alert.labels, now_ms):
            return Standing(AlertState.SILENCED, silences[0])
        if inhibitor := self.dispatcher.inhibitor(alert.labels, now_ms):
            return Standing(AlertState.INHIBITED, inhibitor)
        for group in self.dispatcher.groups_of(identity):
            if taken_on := self.dispatcher.taken_on(group):
                return Standing(AlertState.ACKNOWLEDGED, taken_on.person)
        return Standing(AlertState.FIRING)

    # ------------------------------------------------------------------------------------------------------------------

    def _records_changed(self) -> Iterator[Record]:
        of_groups = self.dispatcher.take_changes()
        gone = {key_of(key) for kind, key, value in of_groups if kind == "group" and value is None}
        if gone and gone & self.memory.groups():
            self.memory.forget(gone - {group.key for group in self.dispatcher.groups}, self.dispatcher.pending)
        yield from of_groups
        yield from self.states.take_changes()
        yield from self.definitions.take_changes()
        yield from self.memory.take_changes()

    def _absorb(self, step: Step) -> None:
        self._decisions += step.decisions
        self._notifications += step.notifications
        self._withdrawn += [each.supersedes for each in step.notifications if each.supersedes]

    def _take_defined(self, alerts: Iterable[Alert], now_ms: int) -> None:
        """Take alerts of definitions, and ask Shield for what those want that begin."""
        alerts = list(alerts)
        self.take_alerts(alerts, now_ms)
        for alert in alerts:
            definition = self.definitions.definitions.get(alert.labels["alert_id"])
            if definition is None or alert.is_resolved(now_ms) or not self._publishes:
                continue
            for action in actions_of(definition, alert, now_ms):
                self.publish(ACTIONS.name, action.target.tenant_id, msgspec.json.encode(action).decode())
                reason = DecisionReason.SHIELD_ASKED
                about = Decision(
                    at_ms=now_ms, reason=reason, fingerprint=action.fingerprint, refers_to=action.action_id
                )
                self._decisions.append(about)

    def _is_there(self, group_key: str) -> bool:
        return any(group.key == group_key for group in self.dispatcher.groups)

    def _firing_groups(self, identity: str, now_ms: int) -> list[Group]:
        if self.dispatcher.alerts[identity].is_resolved(now_ms):
            raise ValueError(f"alert {identity} has ended")
        return [group for group in self.dispatcher.groups_of(identity) if identity in group.members]

    def _publish_changes(self, now_ms: int) -> None:
        touched, self._touched = self._touched, {}
        for decision in self._decisions:
            if decision.fingerprint:
                touched[decision.fingerprint] = None
        for identity in touched:
            alert = self.dispatcher.alerts.get(identity)
            if alert is None:
                self.states.forget(identity)
                continue
            change = self.states.change(identity, alert, self.standing(identity, alert, now_ms), now_ms)
            if change is not None and self._publishes:
                self.publish(ALERTS.name, identity, msgspec.json.encode(change).decode())

    def _sort_out(
        self, open_: Iterable[StoredNotification], now_ms: int
    ) -> tuple[tuple[StoredNotification, Notification], ...]:
        """Return what is to be sent of what was open; the rest has been superseded, or nobody waits for it."""
        wanted = []
        for stored in open_:
            if stored.notification_id in self.dispatcher.pending:
                wanted.append((stored, msgspec.json.decode(stored.payload, type=Notification)))
            else:
                self._changes.append(Dead(stored.notification_id, now_ms, DecisionReason.SUPERSEDED.value))
        for identity in self.dispatcher.pending.keys() - {stored.notification_id for stored, _ in wanted}:
            self._absorb(self.dispatcher.on_failed(identity, now_ms))
        return tuple(wanted)


def _plan(notification: Notification) -> Plan:
    return Plan(
        notification_id=notification.notification_id,
        receiver=notification.receiver,
        channel=notification.channel,
        group_key=notification.group_key,
        reason=notification.reason,
        created_at_ms=notification.created_at_ms,
        payload=msgspec.json.encode(notification).decode(),
    )


def _decided(decision: Decision) -> Decided:
    return Decided(
        at_ms=decision.at_ms,
        fingerprint=decision.fingerprint,
        group_key=decision.group_key,
        notification_id=decision.notification_id,
        value=msgspec.json.encode(decision).decode(),
    )
