"""What of a group may be told now: the members that are neither inhibited, muted, silenced nor held by a storm."""

from udfs.alerting.alert_order import in_order
from udfs.alerting.decided import about_group
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.escalation import GroupView
from udfs.alerting.group import Group, chain_name
from udfs.alerting.mute import mute_of
from udfs.alerting.told import Told


def shown_members(state: DispatchState, group: Group, now_ms: int, decisions: list[Decision]) -> list[str]:
    """Return the members that nothing holds back; what holds others back is decided when it changes."""
    route = group.route
    mute = mute_of(route, state.settings.intervals, now_ms)
    shown = []
    said: dict[str, tuple[str, str]] = {}
    for identity in group.members:
        labels = state.alerts[identity].labels
        inhibitor = state.inhibition.inhibitor(labels, now_ms)
        if inhibitor is not None:
            said[identity] = DecisionReason.INHIBITED, inhibitor.fingerprint
            continue
        if mute is not None:
            continue
        silences = state.silences.silencing(identity, labels, now_ms)
        if silences:
            said[identity] = DecisionReason.SILENCED, silences[0]
            continue
        shown.append(identity)
    if mute is not None:
        said[""] = mute.reason, mute.intervals
    elif shown and state.storms.holds(chain_name(group), now_ms):
        said[""] = DecisionReason.HELD_BY_STORM, ""
        shown = []
    for identity, (reason, refers_to) in said.items():
        if group.said.get(identity) != (reason, refers_to):
            decisions.append(about_group(group, DecisionReason(reason), now_ms, identity, refers_to))
    group.said = said | {name: value for name, value in group.said.items() if name.startswith("channel ")}
    return shown


def told_of(state: DispatchState, group: Group, shown: list[str], resolved: set[str], now_ms: int) -> Told:
    """Return what receivers are told of a group, given which of its members are shown and which are over."""
    firing = frozenset(shown) - resolved
    over = frozenset(shown) - firing
    return Told(group, state.alerts, shown, firing, over, now_ms, state.settings.external_url)


def views_of(state: DispatchState, group: Group, now_ms: int, decisions: list[Decision]) -> tuple[Told, GroupView]:
    """Return a group as its receivers and as its chain see it."""
    resolved = state.resolved(group.members, now_ms)
    shown = shown_members(state, group, now_ms, decisions)
    firing = frozenset(shown) - resolved
    alerts = [state.alerts[each] for each in in_order(group.members - resolved, state.alerts)]
    held = next((f"{why} by {by}" if by else why for name, (why, by) in group.said.items() if " " not in name), "")
    view = GroupView(
        group_key=group.key,
        receiver=group.route.receiver,
        firing=tuple(alerts),
        muted_by="" if firing else held,
    )
    return told_of(state, group, shown, resolved, now_ms), view


def nobody(name: str) -> GroupView:
    """Return the view of a group that is no more, by the name of its chain."""
    receiver, key = name.rsplit("\n", 1)
    return GroupView(group_key=key, receiver=receiver, firing=())
