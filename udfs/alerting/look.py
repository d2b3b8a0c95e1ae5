"""A look at a group whose time has come: each channel of its receiver is told what it does not know."""

from msgspec.structs import replace

from udfs.alerting.decided import about_group
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.group import Group, chain_name
from udfs.alerting.notice import in_common, notification_id
from udfs.alerting.notification import NotificationReason
from udfs.alerting.notification_log import notify_reason
from udfs.alerting.paging import follow_chain, tell_end
from udfs.alerting.records import Pending
from udfs.alerting.settings import Channel
from udfs.alerting.step import Findings
from udfs.alerting.storm import ALERT_NAME as STORM_ALERT
from udfs.alerting.told import Told
from udfs.alerting.view import shown_members, told_of


def look_at(state: DispatchState, group: Group, now_ms: int, found: Findings) -> None:
    """Tell of a group what is to be told, and look again after the group interval."""
    if not group.flushed and not state.storms.is_idle:
        _count_for_storm(state, group, now_ms)
    group.flushed = True
    state.groups.look_next(group, now_ms + group.route.group_interval_ms)
    if not group.members:
        follow_chain(state, group, now_ms, found)
        return
    resolved = state.resolved(group.members, now_ms)
    group.settled = {each: state.alerts[each].updated_at_ms for each in resolved}
    group.failed = False
    shown = shown_members(state, group, now_ms, found.decisions)
    if shown:
        told = told_of(state, group, shown, resolved, now_ms)
        for channel in state.settings.receivers[group.route.receiver]:
            _tell(state, told, channel, found)
        tell_end(state, told, found)
    follow_chain(state, group, now_ms, found)
    _leave(state, group, now_ms)


def settle(state: DispatchState, pending: Pending, *, failed: bool, now_ms: int) -> None:
    """Take note at the groups of a notice that it has arrived or cannot be delivered."""
    for group in state.groups.by_key.get(pending.group_key, ()):
        if group.route.receiver == pending.receiver:
            group.failed = group.failed or failed
            state.changed["group", group.group_id] = None
            _leave(state, group, now_ms)


def _count_for_storm(state: DispatchState, group: Group, now_ms: int) -> None:
    """Count a group that is looked at for the first time and of which nobody has been told yet."""
    receiver = group.route.receiver
    channels = state.settings.receivers[receiver]
    entries = (state.notices.log.get((group.key, receiver, each.name)) for each in channels)
    alerts = [state.alerts[each] for each in group.members if not state.alerts[each].is_resolved(now_ms)]
    if not alerts or any(entry is not None and entry.firing for entry in entries):
        return
    labels = in_common(alert.labels for alert in alerts)
    if labels.get("alertname") != STORM_ALERT:
        state.storms.opened(labels.get("tenant_id", ""), chain_name(group), labels, now_ms)


def _tell(state: DispatchState, told: Told, channel: Channel, found: Findings) -> None:
    group, now_ms, notices = told.group, told.now_ms, state.notices
    receiver = group.route.receiver
    place = group.key, receiver, channel.name
    entry = notices.log.get(place)
    under_way = notices.under_way(*place)
    reason = notify_reason(
        entry,
        firing=told.firing,
        resolved=told.resolved,
        send_resolved=channel.send_resolved,
        repeat_interval_ms=group.route.repeat_interval_ms,
        now_ms=now_ms,
    )
    if reason is None:
        if under_way is not None:
            # It may still arrive, and then there is an end to tell: nobody leaves before the next look.
            group.settled = {}
        never = entry is None or not (told.firing or entry.firing)
        quiet = DecisionReason.RESOLVED_BEFORE_NOTICE if never and not told.firing else DecisionReason.DUPLICATE
        _say_once(group, channel, quiet, now_ms, found.decisions)
        return
    taken_on = state.escalations.acknowledgement(chain_name(group))
    if reason is NotificationReason.REPEAT_INTERVAL_ELAPSED and taken_on is not None:
        _say_once(group, channel, DecisionReason.ACKNOWLEDGED, now_ms, found.decisions, taken_on.person)
        return
    identifier = notification_id(*place, told.firing, told.resolved, entry.sent_at_ms if entry else 0)
    pending = Pending(identifier, *place, told.firing, told.resolved, group.route.repeat_interval_ms)
    if not channel.send_resolved and not told.firing:
        notices.write_log(pending, now_ms)
        _say_once(group, channel, DecisionReason.RESOLVED_NOT_WANTED, now_ms, found.decisions)
        return
    if under_way is not None and under_way.notification_id == identifier:
        _say_once(group, channel, DecisionReason.STILL_SENDING, now_ms, found.decisions, identifier)
        return
    tenant_id = "" if state.throttling.is_idle else told.tenant_id()
    if not state.throttling.admits(receiver, tenant_id, now_ms):
        state.throttling.hold(receiver, tenant_id, group.key, now_ms)
        # Nobody leaves before it has been told: the next look tries again.
        group.settled = {}
        _say_once(group, channel, DecisionReason.THROTTLED, now_ms, found.decisions, tenant_id)
        return
    before = notices.hand_over(pending, reason, now_ms, found.decisions)
    found.notifications.append(told.notification(identifier, receiver, channel, reason, before))
    group.said.pop(f"channel {channel.name}", None)


def _say_once(
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


def _leave(state: DispatchState, group: Group, now_ms: int) -> None:
    """Let the alerts go whose end has been told, unless they were sent again in the meantime."""
    receiver = group.route.receiver
    channels = state.settings.receivers[receiver]
    if group.failed or any(state.notices.under_way(group.key, receiver, each.name) for each in channels):
        return
    for identity, version in group.settled.items():
        if identity in group.members and state.alerts[identity].updated_at_ms == version:
            group.members.discard(identity)
            state.changed["alert", identity] = None
    group.settled = {}
    if not group.members and group.emptied_at_ms is None:
        state.groups.emptied(group, now_ms)
