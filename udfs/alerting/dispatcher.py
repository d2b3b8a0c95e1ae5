"""The dispatcher: alerts, time and settings in; notices and the reasons for them out.

It reads no clock and sends nothing. Whoever runs it calls `advance` at `next_wake_at_ms`, hands the notices over for
sending, says `on_sent` or `on_failed` of each, and keeps the records of `take_changes` in the same transaction as the
notices: a dispatcher that is restored from its records goes on as if nothing had happened.
"""

from collections.abc import Iterable, Mapping

from udfs.alerting import paging, silencing, state_records
from udfs.alerting.alert import Alert
from udfs.alerting.arrival import arrive, form_groups
from udfs.alerting.decided import about_notice
from udfs.alerting.decision import DecisionReason
from udfs.alerting.escalation import NEVER_MS, Acknowledgement
from udfs.alerting.escalations import Escalations
from udfs.alerting.forgetting import forget
from udfs.alerting.group import Group, chain_name
from udfs.alerting.held_back_notice import tell_held_back
from udfs.alerting.look import look_at, settle
from udfs.alerting.mute import mute_of
from udfs.alerting.notification_log import LogEntry
from udfs.alerting.records import Pending, Record
from udfs.alerting.settings import DispatchSettings
from udfs.alerting.silence import Silence, Silences
from udfs.alerting.step import Findings, Step
from udfs.alerting.view import nobody


class Dispatcher:
    """Decides who is told what and when; one instance per route tree. Not safe for several threads."""

    def __init__(self, settings: DispatchSettings, now_ms: int, records: Iterable[Record] = ()) -> None:
        """Begin at an instant, or go on where the records were written.

        If the settings are others than those of the records, the groups are formed anew, as by `on_settings`.
        """
        self._state = state_records.restored(settings, now_ms, records)
        silencing.keep_calendar(self._state, now_ms)

    # What is asked of it.

    def on_alerts(self, alerts: Iterable[Alert], now_ms: int) -> Step:
        """Take alerts as they were sent; labels with an empty value are dropped, as if they were not there."""
        forget(self._state, now_ms)
        found = Findings()
        arrive(self._state, alerts, now_ms, found.decisions)
        return found.step()

    def on_silence(self, wanted: Silence, now_ms: int) -> str:
        """Add or change a silence and return its identifier.

        A silence whose identifier is known is changed in place if that leaves the past as it was; otherwise ValueError
        says that it has to be ended and made anew. Raises ValueError, too, for one that means everything, has no
        matcher or is over.
        """
        return silencing.put_silence(self._state, wanted, now_ms)

    def expire_silence(self, silence_id: str, now_ms: int) -> None:
        """End a silence now; one that has expired stays as it is. Raises KeyError if there is none."""
        silencing.expire_silence(self._state, silence_id, now_ms)

    def on_settings(self, settings: DispatchSettings, now_ms: int) -> Step:
        """Go on under other settings: groups are formed anew, and what has been told stays told."""
        state, found = self._state, Findings()
        forget(state, now_ms)
        members: dict[str, list[str]] = {}
        for group in self.groups:
            for each in group.members:
                members.setdefault(each, []).append(group.group_id)
        for group in list(self.groups):
            state.groups.remove(group)
        state.take_settings(settings)
        silencing.keep_calendar(state, now_ms)
        form_groups(state, members, now_ms)
        for name in [each for each in state.escalations.running if not state.groups.of_chain(each)]:
            found.decisions += state.escalations.look(name, nobody(name), now_ms).decisions
        return found.step()

    def advance(self, now_ms: int, most_groups: int | None = None) -> Step:
        """Look at every group whose time has come, or at so many of them, and return what is to be sent."""
        state, found = self._state, Findings()
        forget(state, now_ms)
        silencing.keep_calendar(state, now_ms)
        for group in state.groups.due(now_ms, most_groups):
            look_at(state, group, now_ms, found)
        arrive(state, state.storms.advance(now_ms), now_ms, found.decisions)
        for receiver, held in state.throttling.due(now_ms):
            tell_held_back(state, receiver, held, now_ms, found)
        for name in state.escalations.due(now_ms):
            for group in state.groups.of_chain(name):
                paging.follow_chain(state, group, now_ms, found, ends=False)
        return found.step()

    def acknowledge(self, group_key: str, person: str, note: str, now_ms: int, until_ms: int | None = None) -> Step:
        """Somebody takes a group on: nothing is repeated or escalated until it resolves, or until a time.

        Those who were told of it are told of that. Raises KeyError if there is no such group with alerts that fire.
        """
        found = Findings()
        for group in self._firing(group_key, now_ms):
            paging.acknowledge(self._state, group, person, note, now_ms, until_ms, found)
        return found.step()

    def escalate(self, group_key: str, person: str, now_ms: int) -> Step:
        """Somebody wants the next step of the group's chain at once.

        Raises KeyError as `acknowledge`, ValueError if the group is in no chain.
        """
        found = Findings()
        for group in self._firing(group_key, now_ms):
            paging.escalate(self._state, group, person, now_ms, found)
        return found.step()

    def next_wake_at_ms(self) -> int | None:
        """Return when `advance` has something to do next; None is never, unless something comes in."""
        state = self._state
        times = (
            state.escalations.next_at_ms,
            state.throttling.next_at_ms,
            state.storms.next_at_ms,
            state.calendar_at_ms if state.calendar_at_ms < NEVER_MS else None,
            state.groups.next_at_ms,
        )
        return min((each for each in times if each is not None), default=None)

    def on_sent(self, identifier: str, at_ms: int) -> Step:
        """Take note that the receiver has confirmed a notice; one that is not pending any more changes nothing."""
        pending = self._state.notices.settle(identifier)
        if pending is None:
            return Step()
        self._state.notices.write_log(pending, at_ms)
        settle(self._state, pending, failed=False, now_ms=at_ms)
        return Step(decisions=(about_notice(pending, DecisionReason.SENT, at_ms),))

    def on_failed(self, identifier: str, at_ms: int) -> Step:
        """Take note that a notice cannot be delivered; its group's next look decides again."""
        pending = self._state.notices.settle(identifier)
        if pending is None:
            return Step()
        settle(self._state, pending, failed=True, now_ms=at_ms)
        return Step(decisions=(about_notice(pending, DecisionReason.FAILED, at_ms),))

    def take_changes(self) -> list[Record]:
        """Return the records that have changed since the last call."""
        return state_records.take_changes(self._state)

    def records(self) -> list[Record]:
        """Return all records, enough to go on from."""
        return state_records.all_records(self._state)

    # What is asked about it.

    @property
    def settings(self) -> DispatchSettings:
        """The settings it goes by now."""
        return self._state.settings

    @property
    def alerts(self) -> Mapping[str, Alert]:
        """All alerts by fingerprint, each with an end."""
        return self._state.alerts

    @property
    def silences(self) -> Silences:
        """All silences."""
        return self._state.silences

    @property
    def pending(self) -> Mapping[str, Pending]:
        """The notices under way, by identifier."""
        return self._state.notices.pending

    @property
    def log(self) -> Mapping[tuple[str, str, str], LogEntry]:
        """What has been told, by group key, receiver and channel."""
        return self._state.notices.log

    @property
    def escalations(self) -> Escalations:
        """The groups in a chain."""
        return self._state.escalations

    @property
    def groups(self) -> Iterable[Group]:
        """All groups, those without alerts as well."""
        return self._state.groups.by_id.values()

    def group(self, identifier: str) -> Group | None:
        """Return a group by its identifier, None when there is none any more."""
        return self._state.groups.by_id.get(identifier)

    def groups_of(self, identity: str) -> tuple[Group, ...]:
        """Return the groups that an alert belongs to, those it has left included; none for an unknown one."""
        return self._state.groups.of(identity)

    def taken_on(self, group: Group) -> Acknowledgement | None:
        """Return who has taken a group on, None if nobody has."""
        return self._state.escalations.acknowledgement(chain_name(group))

    def inhibitor(self, labels: dict[str, str], now_ms: int) -> str:
        """Return the fingerprint of an alert that inhibits these labels; empty is none."""
        found = self._state.inhibition.inhibitor(labels, now_ms)
        return found.fingerprint if found else ""

    def muting_intervals(self, group: Group, now_ms: int) -> tuple[str, ...]:
        """Return the names of the intervals that keep a group quiet."""
        found = mute_of(group.route, self.settings.intervals, now_ms)
        return (found.intervals,) if found else ()

    def _firing(self, group_key: str, now_ms: int) -> list[Group]:
        """Return the groups of a key that have alerts that fire; raises KeyError if there are none."""
        state = self._state
        found = [
            group
            for group in state.groups.by_key.get(group_key, ())
            if len(state.resolved(group.members, now_ms)) < len(group.members)
        ]
        if not found:
            raise KeyError(f"there is no group {group_key} with alerts that fire")
        return found
