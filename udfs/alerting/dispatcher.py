"""The dispatcher: alerts, time and settings in; notices and the reasons for them out.

It reads no clock and sends nothing. Whoever runs it calls `advance` at `next_wake_at_ms`, hands the notices over for
sending, says `on_sent` or `on_failed` of each, and keeps the records of `take_changes` in the same transaction as the
notices: a dispatcher that is restored from its records goes on as if nothing had happened.
"""

from collections.abc import Iterable
from hashlib import sha256
from heapq import heappop, heappush

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from udfs.alerting import silence as silence_rules
from udfs.alerting.alert import Alert, fingerprint
from udfs.alerting.alert_order import in_order
from udfs.alerting.calendar_silences import next_change_at_ms, open_silences, outdated
from udfs.alerting.decided import about_group, about_notice
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.escalation import NEVER_MS, Acknowledgement, GroupView, Page
from udfs.alerting.escalations import Escalations
from udfs.alerting.group import Group, group_id
from udfs.alerting.inhibition import Inhibition
from udfs.alerting.label_text import labels_text
from udfs.alerting.merge import merged, with_end
from udfs.alerting.mute import mute_of
from udfs.alerting.notice import in_common, notification_id
from udfs.alerting.notification import Notification, NotificationReason
from udfs.alerting.notification_log import LogEntry, notify_reason
from udfs.alerting.records import AlertRecord, ClockRecord, GroupRecord, Pending, Record
from udfs.alerting.route import Route, matching_routes, walk
from udfs.alerting.settings import Channel, DispatchSettings
from udfs.alerting.silence import Silence, Silences
from udfs.alerting.storm import ALERT_NAME as STORM_ALERT
from udfs.alerting.storm import Storms
from udfs.alerting.throttle import HeldBack, Throttling, held_back_texts
from udfs.alerting.told import Told

CLEAN_UP_EVERY_MS = 30_000
"""A group that is empty when this is over is forgotten, and its next alert waits for the group wait again."""
COLLECT_EVERY_MS = 1_800_000
"""How often alerts that have ended, and of which nothing is left to tell, are forgotten."""
LOG_RETENTION_MS = 120 * 3_600_000


class Step(Struct, frozen=True):
    """What came of one input or of the time that passed."""

    notifications: tuple[Notification, ...] = ()
    decisions: tuple[Decision, ...] = ()


class Dispatcher:
    """Decides who is told what and when; one instance per route tree. Not safe for several threads."""

    def __init__(self, settings: DispatchSettings, now_ms: int, records: Iterable[Record] = ()) -> None:
        """Begin at an instant, or go on where the records were written.

        If the settings are others than those of the records, the groups are formed anew, as by `on_settings`.
        """
        self.alerts: dict[str, Alert] = {}
        """By fingerprint, each with an end."""
        self.silences = Silences()
        self.log: dict[tuple[str, str, str], LogEntry] = {}
        """By group key, receiver and channel."""
        self.pending: dict[str, Pending] = {}
        self._under_way: dict[tuple[str, str, str], str] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._clock = ClockRecord(now_ms, now_ms, "")
        self._calendar_at_ms: int = 0
        records = tuple(records)
        self.escalations = Escalations(settings.escalation, records)
        self.throttling = Throttling(settings.throttles, records)
        self.storms = Storms(settings.storms, records)
        self._take_settings(settings)
        self._restore(records, now_ms)
        self._keep_calendar(now_ms)

    # What is asked of it.

    def on_alerts(self, alerts: Iterable[Alert], now_ms: int) -> Step:
        """Take alerts as they were sent; labels with an empty value are dropped, as if they were not there."""
        self._tidy(now_ms)
        decisions: list[Decision] = []
        for sent in alerts:
            self._take(sent, now_ms, decisions)
        return Step(decisions=tuple(decisions))

    def on_silence(self, wanted: Silence, now_ms: int) -> str:
        """Add or change a silence and return its identifier.

        A silence whose identifier is known is changed in place if that leaves the past as it was; otherwise the known
        one is ended and the caller has to ask again with a new identifier: ValueError says so. Raises ValueError, too,
        for a silence that means everything or has no matcher.
        """
        wanted = silence_rules.normal(replace(wanted, updated_at_ms=now_ms))
        silence_rules.check(wanted)
        known = self.silences.by_id.get(wanted.silence_id)
        if known is None:
            wanted = replace(wanted, starts_at_ms=max(wanted.starts_at_ms, now_ms))
            if wanted.ends_at_ms < wanted.starts_at_ms:
                raise ValueError("the end of a silence is not in the past")
        elif not silence_rules.can_become(known, wanted, now_ms):
            raise ValueError(f"silence {known.silence_id} cannot be changed to this; end it and make another one")
        self._put_silence(wanted)
        return wanted.silence_id

    def expire_silence(self, silence_id: str, now_ms: int) -> None:
        """End a silence now; one that has expired stays as it is. Raises KeyError if there is none."""
        known = self.silences.by_id[silence_id]
        if known.state(now_ms) is not silence_rules.SilenceState.EXPIRED:
            self._put_silence(silence_rules.expired(known, now_ms))

    def on_settings(self, settings: DispatchSettings, now_ms: int) -> Step:
        """Go on under other settings: groups are formed anew, and what has been told stays told."""
        self._tidy(now_ms)
        members = {each for group in self._groups.values() for each in group.members}
        for group in list(self._groups.values()):
            self._remove(group)
        self._take_settings(settings)
        self._keep_calendar(now_ms)
        self._form_groups(members, now_ms)
        decisions: list[Decision] = []
        for name in [each for each in self.escalations.running if not self._groups_named(each)]:
            decisions += self.escalations.look(name, _nobody(name), now_ms).decisions
        return Step(decisions=tuple(decisions))

    def advance(self, now_ms: int) -> Step:
        """Look at every group whose time has come, and return what is to be sent."""
        self._tidy(now_ms)
        self._keep_calendar(now_ms)
        due: dict[str, Group] = {}
        while self._agenda and self._agenda[0][0] <= now_ms:
            at_ms, identifier = heappop(self._agenda)
            group = self._groups.get(identifier)
            if group is not None and group.next_at_ms == at_ms:
                due[identifier] = group
        notifications: list[Notification] = []
        decisions: list[Decision] = []
        for identifier in sorted(due):
            self._look_at(due[identifier], now_ms, notifications, decisions)
        for alert in self.storms.advance(now_ms):
            self._take(alert, now_ms, decisions)
        for receiver, held in self.throttling.due(now_ms):
            self._tell_held_back(receiver, held, now_ms, notifications, decisions)
        for name in self.escalations.due(now_ms):
            for group in self._groups_named(name):
                self._escalate(group, now_ms, notifications, decisions, ends=False)
        return Step(tuple(notifications), tuple(decisions))

    def acknowledge(self, group_key: str, person: str, note: str, now_ms: int, until_ms: int | None = None) -> Step:
        """Somebody takes a group on: nothing is repeated or escalated until it resolves, or until a time.

        Those who were told of it are told of that. Raises KeyError if there is no such group with alerts that fire.
        """
        notifications: list[Notification] = []
        decisions: list[Decision] = []
        for group in self._firing(group_key, now_ms):
            told, view = self._view(group, now_ms, decisions)
            name = _escalation_name(group)
            decisions.append(self.escalations.acknowledge(name, view, person, note, now_ms, until_ms))
            for receiver in dict.fromkeys((group.route.receiver, *self.escalations.told(name))):
                for channel in self.settings.receivers.get(receiver, ()):
                    entry = self.log.get((group.key, receiver, channel.name))
                    if entry is not None and entry.firing and told.firing:
                        parts = "acknowledged", person, str(now_ms)
                        self._send(
                            told, receiver, channel, NotificationReason.ACKNOWLEDGED, parts, notifications, decisions
                        )
        return Step(tuple(notifications), tuple(decisions))

    def escalate(self, group_key: str, person: str, now_ms: int) -> Step:
        """Somebody wants the next step of the group's chain at once.

        Raises KeyError as `acknowledge`, ValueError if the group is in no chain.
        """
        notifications: list[Notification] = []
        decisions: list[Decision] = []
        for group in self._firing(group_key, now_ms):
            _, view = self._view(group, now_ms, decisions)
            decisions.append(self.escalations.escalate(_escalation_name(group), view, person, now_ms))
            self._escalate(group, now_ms, notifications, decisions, ends=False)
        return Step(tuple(notifications), tuple(decisions))

    def next_wake_at_ms(self) -> int | None:
        """Return when `advance` has something to do next; None is never, unless something comes in."""
        times = [
            self.escalations.next_at_ms,
            self.throttling.next_at_ms,
            self.storms.next_at_ms,
            self._calendar_at_ms if self._calendar_at_ms < NEVER_MS else None,
        ]
        while self._agenda:
            at_ms, identifier = self._agenda[0]
            group = self._groups.get(identifier)
            if group is not None and group.next_at_ms == at_ms:
                times.append(at_ms)
                break
            heappop(self._agenda)
        return min((each for each in times if each is not None), default=None)

    def on_sent(self, identifier: str, at_ms: int) -> Step:
        """Take note that the receiver has confirmed a notice; one that is not pending any more changes nothing."""
        pending = self._no_longer_pending(identifier)
        if pending is None:
            return Step()
        self._write_log(pending, at_ms)
        self._settle(pending, failed=False, now_ms=at_ms)
        return Step(decisions=(about_notice(pending, DecisionReason.SENT, at_ms),))

    def on_failed(self, identifier: str, at_ms: int) -> Step:
        """Take note that a notice cannot be delivered; its group's next look decides again."""
        pending = self._no_longer_pending(identifier)
        if pending is None:
            return Step()
        self._settle(pending, failed=True, now_ms=at_ms)
        return Step(decisions=(about_notice(pending, DecisionReason.FAILED, at_ms),))

    def take_changes(self) -> list[Record]:
        """Return the records that have changed since the last call."""
        changed, self._changed = self._changed, {}
        return [Record(kind, key, self._value(kind, key)) for kind, key in changed] + self._other_changes()

    def _other_changes(self) -> list[Record]:
        return [*self.escalations.take_changes(), *self.throttling.take_changes(), *self.storms.take_changes()]

    def records(self) -> list[Record]:
        """Return all records, enough to go on from."""
        keys = [("clock", "")]
        keys += [("alert", each) for each in self.alerts]
        keys += [("group", each) for each in self._groups]
        keys += [("log", _log_key(*each)) for each in self.log]
        keys += [("pending", each) for each in self.pending]
        keys += [("silence", each) for each in self.silences.by_id]
        return [Record(kind, key, self._value(kind, key)) for kind, key in keys] + [
            *self.escalations.records(),
            *self.throttling.records(),
            *self.storms.records(),
        ]

    # What is asked about it.

    @property
    def groups(self) -> Iterable[Group]:
        """All groups, those without alerts as well."""
        return self._groups.values()

    def group(self, identifier: str) -> Group | None:
        """Return a group by its identifier, None when there is none any more."""
        return self._groups.get(identifier)

    def groups_of(self, identity: str) -> tuple[Group, ...]:
        """Return the groups that an alert belongs to, those it has left included; none for an unknown one."""
        return self._places.get(identity, ())

    def taken_on(self, group: Group) -> Acknowledgement | None:
        """Return who has taken a group on, None if nobody has."""
        return self.escalations.acknowledgement(_escalation_name(group))

    def inhibitor(self, labels: dict[str, str], now_ms: int) -> str:
        """Return the fingerprint of an alert that inhibits these labels; empty is none."""
        found = self._inhibition.inhibitor(labels, now_ms)
        return found.fingerprint if found else ""

    def muting_intervals(self, group: Group, now_ms: int) -> tuple[str, ...]:
        """Return the names of the intervals that keep a group quiet."""
        found = mute_of(group.route, self.settings.intervals, now_ms)
        return (found.intervals,) if found else ()

    # Alerts and groups.

    def _take(self, sent: Alert, now_ms: int, decisions: list[Decision]) -> None:
        if "" in sent.labels.values():
            sent = replace(sent, labels={name: value for name, value in sent.labels.items() if value})
        identity = fingerprint(sent.labels)
        alert = with_end(sent, self.settings.resolve_timeout_ms)
        known = self.alerts.get(identity)
        both = merged(known, alert, now_ms) if known is not None else None
        if both is not None:
            alert = both
        self.alerts[identity] = alert
        self._changed["alert", identity] = None
        self._inhibition.learn(identity, alert)
        for group in self._groups_for(identity, alert):
            new = identity not in group.members
            self._insert(group, identity, alert, now_ms)
            if new:
                self.escalations.joined(_escalation_name(group), now_ms)
                decisions.append(
                    Decision(
                        at_ms=now_ms,
                        reason=DecisionReason.ROUTED,
                        group_key=group.key,
                        receiver=group.route.receiver,
                        fingerprint=identity,
                    )
                )

    def _groups_for(self, identity: str, alert: Alert) -> tuple[Group, ...]:
        places = self._places.get(identity)
        if places is None:
            places = tuple(
                self._group(route, alert.labels) for route in matching_routes(self.settings.route, alert.labels)
            )
        elif not all(group.alive for group in places):
            places = tuple(self._groups.get(group.group_id, group) for group in places)
        self._places[identity] = places
        return places

    def _group(self, route: Route, labels: dict[str, str]) -> Group:
        number = self._route_numbers[id(route)]
        group_labels = route.group_labels(labels)
        known = self._groups.get(group_id(number, f"{route.key}:{labels_text(group_labels)}"))
        return known or Group(route, number, group_labels)

    def _insert(self, group: Group, identity: str, alert: Alert, now_ms: int) -> None:
        if not group.alive:
            self._begin(group, now_ms)
        group.members.add(identity)
        if group.emptied_at_ms is not None:
            group.emptied_at_ms = None
            self._empty.pop(group.group_id, None)
            self._changed["group", group.group_id] = None
        if not group.flushed and alert.starts_at_ms + group.route.group_wait_ms < now_ms < group.next_at_ms:
            self._look_next(group, now_ms)

    def _begin(self, group: Group, now_ms: int) -> None:
        group.flushed = False
        self._add(group)
        self._look_next(group, now_ms + group.route.group_wait_ms)

    def _add(self, group: Group) -> None:
        group.alive = True
        self._groups[group.group_id] = group
        self._by_key.setdefault(group.key, []).append(group)

    def _look_next(self, group: Group, at_ms: int) -> None:
        group.next_at_ms = at_ms
        heappush(self._agenda, (at_ms, group.group_id))
        self._changed["group", group.group_id] = None

    def _remove(self, group: Group) -> None:
        group.alive = False
        group.members.clear()
        group.said.clear()
        group.settled = {}
        self._empty.pop(group.group_id, None)
        del self._groups[group.group_id]
        same_key = self._by_key[group.key]
        same_key.remove(group)
        if not same_key:
            del self._by_key[group.key]
        self._changed["group", group.group_id] = None

    def _look_at(self, group: Group, now_ms: int, notifications: list[Notification], decisions: list[Decision]) -> None:
        if not group.flushed and not self.storms.is_idle:
            self._open(group, now_ms)
        group.flushed = True
        self._look_next(group, now_ms + group.route.group_interval_ms)
        if not group.members:
            self._escalate(group, now_ms, notifications, decisions)
            return
        resolved = {each for each in group.members if self.alerts[each].is_resolved(now_ms)}
        group.settled = {each: self.alerts[each].updated_at_ms for each in resolved}
        group.failed = False
        shown = self._not_muted(group, now_ms, decisions)
        if shown:
            told = self._told(group, shown, resolved, now_ms)
            for channel in self.settings.receivers[group.route.receiver]:
                self._tell(told, channel, notifications, decisions)
            self._tell_end(told, notifications, decisions)
        self._escalate(group, now_ms, notifications, decisions)
        self._leave(group, now_ms)

    def _open(self, group: Group, now_ms: int) -> None:
        """Count a group that is looked at for the first time and of which nobody has been told yet."""
        receiver = group.route.receiver
        entries = (self.log.get((group.key, receiver, each.name)) for each in self.settings.receivers[receiver])
        alerts = [self.alerts[each] for each in group.members if not self.alerts[each].is_resolved(now_ms)]
        if not alerts or any(entry is not None and entry.firing for entry in entries):
            return
        labels = in_common(alert.labels for alert in alerts)
        if labels.get("alertname") != STORM_ALERT:
            self.storms.opened(labels.get("tenant_id", ""), _escalation_name(group), labels, now_ms)

    def _not_muted(self, group: Group, now_ms: int, decisions: list[Decision]) -> list[str]:
        """Return the members that nothing holds back."""
        route = group.route
        mute = mute_of(route, self.settings.intervals, now_ms)
        shown = []
        said: dict[str, tuple[str, str]] = {}
        for identity in group.members:
            labels = self.alerts[identity].labels
            inhibitor = self._inhibition.inhibitor(labels, now_ms)
            if inhibitor is not None:
                said[identity] = DecisionReason.INHIBITED, inhibitor.fingerprint
                continue
            if mute is not None:
                continue
            silences = self.silences.silencing(identity, labels, now_ms)
            if silences:
                said[identity] = DecisionReason.SILENCED, silences[0]
                continue
            shown.append(identity)
        if mute is not None:
            said[""] = mute.reason, mute.intervals
        elif shown and self.storms.holds(_escalation_name(group), now_ms):
            said[""] = DecisionReason.HELD_BY_STORM, ""
            shown = []
        for identity, (reason, refers_to) in said.items():
            if group.said.get(identity) != (reason, refers_to):
                decisions.append(about_group(group, DecisionReason(reason), now_ms, identity, refers_to))
        group.said = said | {name: value for name, value in group.said.items() if name.startswith("channel ")}
        return shown

    def _tell(self, told: Told, channel: Channel, notifications: list[Notification], decisions: list[Decision]) -> None:
        group, now_ms = told.group, told.now_ms
        receiver = group.route.receiver
        place = group.key, receiver, channel.name
        entry = self.log.get(place)
        reason = notify_reason(
            entry,
            firing=told.firing,
            resolved=told.resolved,
            send_resolved=channel.send_resolved,
            repeat_interval_ms=group.route.repeat_interval_ms,
            now_ms=now_ms,
        )
        if reason is None:
            if place in self._under_way:
                # It may still arrive, and then there is an end to tell: nobody leaves before the next look.
                group.settled = {}
            never = entry is None or not (told.firing or entry.firing)
            quiet = DecisionReason.RESOLVED_BEFORE_NOTICE if never and not told.firing else DecisionReason.DUPLICATE
            self._say_once(group, channel, quiet, now_ms, decisions)
            return
        taken_on = self.escalations.acknowledgement(_escalation_name(group))
        if reason is NotificationReason.REPEAT_INTERVAL_ELAPSED and taken_on is not None:
            self._say_once(group, channel, DecisionReason.ACKNOWLEDGED, now_ms, decisions, taken_on.person)
            return
        identifier = notification_id(*place, told.firing, told.resolved, entry.sent_at_ms if entry else 0)
        pending = Pending(identifier, *place, told.firing, told.resolved, group.route.repeat_interval_ms)
        if not channel.send_resolved and not told.firing:
            self._write_log(pending, now_ms)
            self._say_once(group, channel, DecisionReason.RESOLVED_NOT_WANTED, now_ms, decisions)
            return
        before = self._under_way.get(place)
        if before == identifier:
            self._say_once(group, channel, DecisionReason.STILL_SENDING, now_ms, decisions, identifier)
            return
        tenant_id = "" if self.throttling.is_idle else told.tenant_id()
        if not self.throttling.admits(receiver, tenant_id, now_ms):
            self.throttling.hold(receiver, tenant_id, group.key, now_ms)
            # Nobody leaves before it has been told: the next look tries again.
            group.settled = {}
            self._say_once(group, channel, DecisionReason.THROTTLED, now_ms, decisions, tenant_id)
            return
        if before is not None:
            decisions.append(about_notice(self.pending[before], DecisionReason.SUPERSEDED, now_ms, identifier))
            self._no_longer_pending(before)
        self.pending[identifier] = pending
        self._under_way[place] = identifier
        self._changed["pending", identifier] = None
        notifications.append(told.notification(identifier, receiver, channel, reason, before or ""))
        group.said.pop(f"channel {channel.name}", None)
        decisions.append(about_notice(pending, DecisionReason.NOTIFIED, now_ms, reason))

    def _say_once(
        self,
        group: Group,
        channel: Channel,
        reason: DecisionReason,
        now_ms: int,
        decisions: list[Decision],
        refers_to: str = "",
    ) -> None:
        name = f"channel {channel.name}"
        if group.said.get(name) != (reason, refers_to):
            group.said[name] = reason, refers_to
            decision = about_group(group, reason, now_ms, "", refers_to)
            decisions.append(replace(decision, channel=channel.name))

    # Escalation.

    def _escalate(
        self,
        group: Group,
        now_ms: int,
        notifications: list[Notification],
        decisions: list[Decision],
        *,
        ends: bool = True,
    ) -> None:
        """Begin the chain of a group or do what is due of it; that it is over shows when the group is looked at."""
        if self.escalations.is_idle:
            return
        name = _escalation_name(group)
        told, view = self._view(group, now_ms, decisions)
        if not view.firing and (not ends or self._is_paging(group, self.escalations.told(name))):
            return
        found = self.escalations.look(name, view, now_ms)
        decisions += found.decisions
        for page in found.pages:
            for channel in self.settings.receivers[page.receiver]:
                self._page(told, page, channel, notifications, decisions)
        if found.resolves:
            for alert in view.firing:
                ended = replace(alert, ends_at_ms=now_ms, updated_at_ms=now_ms, times_out=False)
                identity = fingerprint(alert.labels)
                self.alerts[identity] = ended
                self._changed["alert", identity] = None
                self._inhibition.learn(identity, ended)

    def _view(self, group: Group, now_ms: int, decisions: list[Decision]) -> tuple[Told, GroupView]:
        """Return a group as its receivers and as its chain see it."""
        resolved = {each for each in group.members if self.alerts[each].is_resolved(now_ms)}
        shown = self._not_muted(group, now_ms, decisions)
        firing = frozenset(shown) - resolved
        alerts = in_order([self.alerts[each] for each in group.members if each not in resolved])
        held = next((f"{why} by {by}" if by else why for name, (why, by) in group.said.items() if " " not in name), "")
        view = GroupView(
            group_key=group.key,
            receiver=group.route.receiver,
            firing=tuple(alerts),
            muted_by="" if firing else held,
        )
        return self._told(group, shown, resolved, now_ms), view

    def _told(self, group: Group, shown: list[str], resolved: set[str], now_ms: int) -> Told:
        firing = frozenset(shown) - resolved
        over = frozenset(shown) - firing
        return Told(group, self.alerts, shown, firing, over, now_ms, self.settings.external_url)

    def _page(
        self, told: Told, page: Page, channel: Channel, notifications: list[Notification], decisions: list[Decision]
    ) -> None:
        under_way = self._under_way.get((told.group.key, page.receiver, channel.name))
        if under_way is not None and self.pending[under_way].firing == told.firing:
            # It is being told just that.
            return
        parts = "page", str(page.begun_at_ms), str(page.repeated), str(page.step)
        self._send(told, page.receiver, channel, NotificationReason.ESCALATED, parts, notifications, decisions)

    def _tell_end(self, told: Told, notifications: list[Notification], decisions: list[Decision]) -> None:
        """Tell those whom only the chain has told that all is over."""
        group = told.group
        receivers = [each for each in self.escalations.told(_escalation_name(group)) if each != group.route.receiver]
        if told.firing or not receivers:
            return
        if self._is_paging(group, receivers):
            # What is under way arrives first, and then there is an end to tell.
            group.settled = {}
            return
        for receiver in receivers:
            for channel in self.settings.receivers.get(receiver, ()):
                entry = self.log.get((group.key, receiver, channel.name))
                if entry is not None and entry.firing and channel.send_resolved:
                    parts = "end", str(entry.sent_at_ms)
                    reason = NotificationReason.ALL_ALERTS_RESOLVED
                    self._send(told, receiver, channel, reason, parts, notifications, decisions)

    def _is_paging(self, group: Group, receivers: Iterable[str]) -> bool:
        """Return whether news of what fires is under way to one of the receivers, which are not the group's own."""
        places = (
            (group.key, receiver, channel.name)
            for receiver in receivers
            if receiver != group.route.receiver
            for channel in self.settings.receivers.get(receiver, ())
        )
        return any(self.pending[self._under_way[place]].firing for place in places if place in self._under_way)

    def _send(
        self,
        told: Told,
        receiver: str,
        channel: Channel,
        reason: NotificationReason,
        parts: tuple[str, ...],
        notifications: list[Notification],
        decisions: list[Decision],
    ) -> None:
        """Hand over a notice that no log decides on; the parts say which one it is."""
        group, now_ms = told.group, told.now_ms
        place = group.key, receiver, channel.name
        identifier = sha256("\xff".join((*place, *parts)).encode()).hexdigest()[:32]
        if identifier in self.pending:
            return
        before = self._under_way.get(place)
        pending = Pending(identifier, *place, told.firing, told.resolved, group.route.repeat_interval_ms)
        if before is not None:
            decisions.append(about_notice(self.pending[before], DecisionReason.SUPERSEDED, now_ms, identifier))
            self._no_longer_pending(before)
        self.pending[identifier] = pending
        self._under_way[place] = identifier
        self._changed["pending", identifier] = None
        notifications.append(told.notification(identifier, receiver, channel, reason, before or ""))
        decisions.append(about_notice(pending, DecisionReason.NOTIFIED, now_ms, reason))

    def _groups_named(self, name: str) -> list[Group]:
        """Return the groups that a chain is about: one, or those of routes that are the same."""
        receiver, key = name.rsplit("\n", 1)
        return [group for group in self._by_key.get(key, ()) if group.route.receiver == receiver]

    def _firing(self, group_key: str, now_ms: int) -> list[Group]:
        """Return the groups of a key that have alerts that fire; raises KeyError if there are none."""
        found = [
            group
            for group in self._by_key.get(group_key, ())
            if not all(self.alerts[each].is_resolved(now_ms) for each in group.members)
        ]
        if not found:
            raise KeyError(f"there is no group {group_key} with alerts that fire")
        return found

    def _tell_held_back(
        self,
        receiver: str,
        held: HeldBack,
        now_ms: int,
        notifications: list[Notification],
        decisions: list[Decision],
    ) -> None:
        """Tell a receiver how much it was not told."""
        summary, groups = held_back_texts(held)
        labels = {"alertname": "NoticesHeldBack", "receiver": receiver, "severity": "warning"}
        annotations = {"summary": summary, "description": groups}
        alert = Alert(
            labels=labels, annotations=annotations, starts_at_ms=held.since_ms, updated_at_ms=now_ms, ends_at_ms=None
        )
        for channel in self.settings.receivers.get(receiver, ()):
            key = f"held back:{labels_text(labels)}"
            place = key, receiver, channel.name
            identifier = notification_id(*place, (), (), held.since_ms)
            pending = Pending(identifier, *place, frozenset(), frozenset(), 0)
            before = self._under_way.get(place, "")
            if before:
                decisions.append(about_notice(self.pending[before], DecisionReason.SUPERSEDED, now_ms, identifier))
                self._no_longer_pending(before)
            self.pending[identifier] = pending
            self._under_way[place] = identifier
            self._changed["pending", identifier] = None
            notifications.append(
                Notification(
                    notification_id=identifier,
                    receiver=receiver,
                    channel=channel.name,
                    group_key=key,
                    group_labels=labels,
                    common_labels=labels,
                    common_annotations=annotations,
                    alerts=(alert,),
                    resolved=(False,),
                    reason=NotificationReason.HELD_BACK,
                    created_at_ms=now_ms,
                    external_url=self.settings.external_url,
                    supersedes=before,
                )
            )
            decisions.append(about_notice(pending, DecisionReason.NOTIFIED, now_ms, NotificationReason.HELD_BACK))

    # What became of notices.

    def _no_longer_pending(self, identifier: str) -> Pending | None:
        pending = self.pending.pop(identifier, None)
        if pending is not None:
            self._under_way.pop((pending.group_key, pending.receiver, pending.channel), None)
            self._changed["pending", identifier] = None
        return pending

    def _write_log(self, pending: Pending, at_ms: int) -> None:
        place = pending.group_key, pending.receiver, pending.channel
        kept_ms = min(2 * pending.repeat_interval_ms, LOG_RETENTION_MS)
        self.log[place] = LogEntry(
            sent_at_ms=at_ms, firing=pending.firing, resolved=pending.resolved, expires_at_ms=at_ms + kept_ms
        )
        self._changed["log", _log_key(*place)] = None

    def _settle(self, pending: Pending, *, failed: bool, now_ms: int) -> None:
        for group in self._by_key.get(pending.group_key, ()):
            if group.route.receiver == pending.receiver:
                group.failed = group.failed or failed
                self._changed["group", group.group_id] = None
                self._leave(group, now_ms)

    def _leave(self, group: Group, now_ms: int) -> None:
        """Let the alerts go whose end has been told, unless they were sent again in the meantime."""
        receiver = group.route.receiver
        channels = self.settings.receivers[receiver]
        if group.failed or any((group.key, receiver, each.name) in self._under_way for each in channels):
            return
        for identity, version in group.settled.items():
            if identity in group.members and self.alerts[identity].updated_at_ms == version:
                group.members.discard(identity)
                self._changed["alert", identity] = None
        group.settled = {}
        if not group.members and group.emptied_at_ms is None:
            group.emptied_at_ms = now_ms
            self._empty[group.group_id] = group
            self._changed["group", group.group_id] = None

    # Housekeeping.

    def _tidy(self, now_ms: int) -> None:
        started = self._clock.started_at_ms
        last_clean_up = now_ms - (now_ms - started) % CLEAN_UP_EVERY_MS
        for group in [each for each in self._empty.values() if (each.emptied_at_ms or 0) <= last_clean_up]:
            self._remove(group)
            name = _escalation_name(group)
            if name in self.escalations.running and not self._groups_named(name):
                self.escalations.look(name, _nobody(name), now_ms)
        if now_ms - self._clock.collected_at_ms >= COLLECT_EVERY_MS:
            self._collect(now_ms)

    def _collect(self, now_ms: int) -> None:
        self._clock = replace(self._clock, collected_at_ms=now_ms)
        self._changed["clock", ""] = None
        for identity, alert in [each for each in self.alerts.items() if each[1].is_resolved(now_ms)]:
            # After a restart the groups are known, and the places of an alert only once they are asked for.
            if not any(identity in group.members for group in self._groups_for(identity, alert)):
                del self.alerts[identity]
                self._places.pop(identity, None)
                self.silences.forget(identity)
                self._changed["alert", identity] = None
        for place in [each for each, entry in self.log.items() if entry.expires_at_ms <= now_ms]:
            if place[0] not in self._by_key:
                del self.log[place]
                self._changed["log", _log_key(*place)] = None
        for silence_id in self.silences.collect(now_ms):
            self._changed["silence", silence_id] = None

    def _keep_calendar(self, now_ms: int) -> None:
        """Make silences of the maintenance windows that have opened, and end those that are no more."""
        if now_ms < self._calendar_at_ms:
            return
        now_open = open_silences(self.settings.maintenance, now_ms)
        for silence in outdated(self.silences.by_id, now_open, now_ms):
            self._put_silence(silence_rules.expired(silence, now_ms))
        for silence in now_open:
            known = self.silences.by_id.get(silence.silence_id)
            # One that somebody has ended by hand stays ended.
            if known is None:
                self._put_silence(silence_rules.normal(silence))
        change_at_ms = next_change_at_ms(self.settings.maintenance, now_ms)
        self._calendar_at_ms = NEVER_MS if change_at_ms is None else change_at_ms

    def _put_silence(self, silence: Silence) -> None:
        self.silences.put(silence)
        self._changed["silence", silence.silence_id] = None

    # Settings and records.

    def _take_settings(self, settings: DispatchSettings) -> None:
        self.settings = settings
        self.escalations.settings = settings.escalation
        self.throttling.throttles = settings.throttles
        self.storms.limits = settings.storms
        # At the first chance: a window may have opened, or be no more.
        self._calendar_at_ms = 0
        self._routes = tuple(walk(settings.route))
        self._route_numbers = {id(route): number for number, route in enumerate(self._routes)}
        self._inhibition = Inhibition(settings.inhibit_rules)
        for identity, alert in self.alerts.items():
            self._inhibition.learn(identity, alert)
        self._groups: dict[str, Group] = {}
        self._by_key: dict[str, list[Group]] = {}
        self._places: dict[str, tuple[Group, ...]] = {}
        self._empty: dict[str, Group] = {}
        self._agenda: list[tuple[int, str]] = []
        digest = sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()
        self._clock = replace(self._clock, settings_digest=digest)
        self._changed["clock", ""] = None

    def _form_groups(self, members: set[str], now_ms: int) -> None:
        """Form groups of all alerts that fire and of those whose end has not been told."""
        for identity, alert in self.alerts.items():
            if identity in members or not alert.is_resolved(now_ms):
                for group in self._groups_for(identity, alert):
                    self._insert(group, identity, alert, now_ms)
                self._changed["alert", identity] = None

    def _restore(self, records: Iterable[Record], now_ms: int) -> None:
        by_kind: dict[str, list[tuple[str, bytes]]] = {}
        for kind, key, value in records:
            if value is not None:
                by_kind.setdefault(kind, []).append((key, value))
        places: dict[str, tuple[str, ...]] = {}
        for key, value in by_kind.get("alert", ()):
            record = msgspec.msgpack.decode(value, type=AlertRecord)
            self.alerts[key] = record.alert
            places[key] = record.groups
            self._inhibition.learn(key, record.alert)
        for _, value in by_kind.get("silence", ()):
            self.silences.put(msgspec.msgpack.decode(value, type=Silence))
        for key, value in by_kind.get("log", ()):
            group_key, receiver, channel = key.split("\x00")
            self.log[group_key, receiver, channel] = msgspec.msgpack.decode(value, type=LogEntry)
        for key, value in by_kind.get("pending", ()):
            pending = msgspec.msgpack.decode(value, type=Pending)
            self.pending[key] = pending
            self._under_way[pending.group_key, pending.receiver, pending.channel] = key
        digest = self._clock.settings_digest
        for _, value in by_kind.get("clock", ()):
            self._clock = msgspec.msgpack.decode(value, type=ClockRecord)
        if by_kind.get("group") and self._clock.settings_digest == digest:
            self._restore_groups(by_kind["group"], places)
        else:
            self._clock = replace(self._clock, settings_digest=digest)
            self._form_groups({each for each, groups in places.items() if groups}, now_ms)
            for key, _ in by_kind.get("group", ()):
                self._changed["group", key] = None

    def _restore_groups(self, rows: list[tuple[str, bytes]], places: dict[str, tuple[str, ...]]) -> None:
        for key, value in rows:
            record = msgspec.msgpack.decode(value, type=GroupRecord)
            group = Group(self._routes[record.route_number], record.route_number, record.labels)
            group.flushed, group.failed = record.flushed, record.failed
            group.settled, group.emptied_at_ms = record.settled, record.emptied_at_ms
            self._add(group)
            group.next_at_ms = record.next_at_ms
            heappush(self._agenda, (record.next_at_ms, key))
            if record.emptied_at_ms is not None:
                self._empty[key] = group
        for identity, names in places.items():
            for name in names:
                self._groups[name].members.add(identity)

    def _value(self, kind: str, key: str) -> bytes | None:
        value: Struct | None
        if kind == "alert":
            value = self._alert_record(key)
        elif kind == "group":
            value = self._group_record(key)
        elif kind == "log":
            group_key, receiver, channel = key.split("\x00")
            value = self.log.get((group_key, receiver, channel))
        elif kind == "pending":
            value = self.pending.get(key)
        elif kind == "silence":
            value = self.silences.by_id.get(key)
        else:
            value = self._clock
        return None if value is None else msgspec.msgpack.encode(value)

    def _alert_record(self, identity: str) -> AlertRecord | None:
        alert = self.alerts.get(identity)
        if alert is None:
            return None
        groups = (each for each in self._groups_for(identity, alert) if identity in each.members)
        return AlertRecord(alert, tuple(group.group_id for group in groups))

    def _group_record(self, identifier: str) -> GroupRecord | None:
        group = self._groups.get(identifier)
        if group is None:
            return None
        number = self._route_numbers[id(group.route)]
        state = group.next_at_ms, group.flushed, group.failed, group.emptied_at_ms, group.settled
        return GroupRecord(number, group.labels, *state)


def _log_key(group_key: str, receiver: str, channel: str) -> str:
    return f"{group_key}\x00{receiver}\x00{channel}"


def _escalation_name(group: Group) -> str:
    """Return what identifies the chain of a group: the same after other settings have formed it anew."""
    return f"{group.route.receiver}\n{group.key}"


def _nobody(name: str) -> GroupView:
    """Return the view of a group that is no more."""
    receiver, key = name.rsplit("\n", 1)
    return GroupView(group_key=key, receiver=receiver, firing=())
