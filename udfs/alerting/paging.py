"""Paging: what the escalation chain of a group tells its receivers, besides those the group itself tells."""

from collections.abc import Iterable
from hashlib import sha256

from msgspec.structs import replace

from udfs.alerting.alert import fingerprint
from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.escalation import Page
from udfs.alerting.group import Group, chain_name
from udfs.alerting.notification import NotificationReason
from udfs.alerting.records import Pending
from udfs.alerting.settings import Channel
from udfs.alerting.step import Findings
from udfs.alerting.told import Told
from udfs.alerting.view import views_of


def follow_chain(state: DispatchState, group: Group, now_ms: int, found: Findings, *, ends: bool = True) -> None:
    """Begin the chain of a group or do what is due of it; that it is over shows when the group is looked at."""
    if state.escalations.is_idle:
        return
    name = chain_name(group)
    told, view = views_of(state, group, now_ms, found.decisions)
    if not view.firing and (not ends or _is_paging(state, group, state.escalations.told(name))):
        return
    advance = state.escalations.look(name, view, now_ms)
    found.decisions += advance.decisions
    for page in advance.pages:
        for channel in state.settings.receivers[page.receiver]:
            _page(state, told, page, channel, found)
    if advance.resolves:
        for alert in view.firing:
            ended = replace(alert, ends_at_ms=now_ms, updated_at_ms=now_ms, times_out=False)
            state.put_alert(fingerprint(alert.labels), ended)


def acknowledge(
    state: DispatchState, group: Group, person: str, note: str, now_ms: int, until_ms: int | None, found: Findings
) -> None:
    """Stop the chain of a group that somebody takes on, and tell those of it who know that it fires."""
    told, view = views_of(state, group, now_ms, found.decisions)
    name = chain_name(group)
    found.decisions.append(state.escalations.acknowledge(name, view, person, note, now_ms, until_ms))
    for receiver in dict.fromkeys((group.route.receiver, *state.escalations.told(name))):
        for channel in state.settings.receivers.get(receiver, ()):
            entry = state.notices.log.get((group.key, receiver, channel.name))
            if entry is not None and entry.firing and told.firing:
                parts = "acknowledged", person, str(now_ms)
                _send(state, told, receiver, channel, NotificationReason.ACKNOWLEDGED, parts, found)


def escalate(state: DispatchState, group: Group, person: str, now_ms: int, found: Findings) -> None:
    """Do the next step of a group's chain at once. Raises ValueError if it is in no chain."""
    _, view = views_of(state, group, now_ms, found.decisions)
    found.decisions.append(state.escalations.escalate(chain_name(group), view, person, now_ms))
    follow_chain(state, group, now_ms, found, ends=False)


def tell_end(state: DispatchState, told: Told, found: Findings) -> None:
    """Tell those whom only the chain has told that all is over."""
    group = told.group
    receivers = [each for each in state.escalations.told(chain_name(group)) if each != group.route.receiver]
    if told.firing or not receivers:
        return
    if _is_paging(state, group, receivers):
        # What is under way arrives first, and then there is an end to tell.
        group.settled = {}
        return
    for receiver in receivers:
        for channel in state.settings.receivers.get(receiver, ()):
            entry = state.notices.log.get((group.key, receiver, channel.name))
            if entry is not None and entry.firing and channel.send_resolved:
                parts = "end", str(entry.sent_at_ms)
                _send(state, told, receiver, channel, NotificationReason.ALL_ALERTS_RESOLVED, parts, found)


def _is_paging(state: DispatchState, group: Group, receivers: Iterable[str]) -> bool:
    """Return whether news of what fires is under way to one of the receivers, which are not the group's own."""
    under_way = (
        state.notices.under_way(group.key, receiver, channel.name)
        for receiver in receivers
        if receiver != group.route.receiver
        for channel in state.settings.receivers.get(receiver, ())
    )
    return any(each.firing for each in under_way if each is not None)


def _page(state: DispatchState, told: Told, page: Page, channel: Channel, found: Findings) -> None:
    under_way = state.notices.under_way(told.group.key, page.receiver, channel.name)
    if under_way is not None and under_way.firing == told.firing:
        # It is being told just that.
        return
    parts = "page", str(page.begun_at_ms), str(page.repeated), str(page.step)
    _send(state, told, page.receiver, channel, NotificationReason.ESCALATED, parts, found)


def _send(
    state: DispatchState,
    told: Told,
    receiver: str,
    channel: Channel,
    reason: NotificationReason,
    parts: tuple[str, ...],
    found: Findings,
) -> None:
    """Hand over a notice that no log decides on; the parts say which one it is."""
    group, now_ms = told.group, told.now_ms
    place = group.key, receiver, channel.name
    identifier = sha256("\xff".join((*place, *parts)).encode()).hexdigest()[:32]
    if identifier in state.notices.pending:
        return
    pending = Pending(identifier, *place, told.firing, told.resolved, group.route.repeat_interval_ms)
    before = state.notices.hand_over(pending, reason, now_ms, found.decisions)
    found.notifications.append(told.notification(identifier, receiver, channel, reason, before))
