"""The arrival of alerts: what is known of one is merged, and it joins its groups."""

from msgspec.structs import replace

from udfs.alerting.alert import Alert, fingerprint
from udfs.alerting.decided import about_group
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.group import chain_name
from udfs.alerting.merge import merged, with_end


def arrive(state: DispatchState, sent: Alert, now_ms: int, decisions: list[Decision]) -> None:
    """Take an alert as it was sent; labels with an empty value are dropped, as if they were not there."""
    if "" in sent.labels.values():
        sent = replace(sent, labels={name: value for name, value in sent.labels.items() if value})
    identity = fingerprint(sent.labels)
    alert = with_end(sent, state.settings.resolve_timeout_ms)
    known = state.alerts.get(identity)
    both = merged(known, alert, now_ms) if known is not None else None
    if both is not None:
        alert = both
    state.put_alert(identity, alert)
    for group in state.groups.meant(identity, alert):
        new = identity not in group.members
        state.groups.insert(group, identity, alert, now_ms)
        if new:
            state.escalations.joined(chain_name(group), now_ms)
            decisions.append(about_group(group, DecisionReason.ROUTED, now_ms, identity, ""))


def form_groups(state: DispatchState, members: set[str], now_ms: int) -> None:
    """Form groups of all alerts that fire and of the members, whose end has not been told."""
    for identity, alert in state.alerts.items():
        if identity in members or not alert.is_resolved(now_ms):
            for group in state.groups.meant(identity, alert):
                state.groups.insert(group, identity, alert, now_ms)
            state.changed["alert", identity] = None
