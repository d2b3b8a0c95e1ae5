"""The arrival of alerts: what is known of one is merged, and it joins its groups."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from udfs.alerting.alert import Alert, fingerprints
from udfs.alerting.decided import about_group
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.group import chain_name
from udfs.alerting.merge import merged, with_end


def arrive(state: DispatchState, alerts: Iterable[Alert], now_ms: int, decisions: list[Decision]) -> None:
    """Take alerts as they were sent; labels with an empty value are dropped, as if they were not there."""
    wanted = [_without_empty(sent) for sent in alerts]
    for identity, sent in zip(fingerprints([sent.labels for sent in wanted]), wanted, strict=True):
        _take(state, identity, sent, now_ms, decisions)


def _without_empty(sent: Alert) -> Alert:
    if "" not in sent.labels.values():
        return sent
    return replace(sent, labels={name: value for name, value in sent.labels.items() if value})


def _take(state: DispatchState, identity: str, sent: Alert, now_ms: int, decisions: list[Decision]) -> None:
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


def form_groups(state: DispatchState, members: Mapping[str, list[str]], now_ms: int) -> None:
    """Form groups of all alerts that fire and of the members, whose end has not been told.

    `members` says in which groups each was; the record of an alert whose groups stay is as it was.
    """
    for identity, alert in state.alerts.items():
        were = members.get(identity)
        if were is None and alert.is_resolved(now_ms):
            continue
        groups = state.groups.meant(identity, alert)
        for group in groups:
            state.groups.insert(group, identity, alert, now_ms)
        are = [group.group_id for group in groups]
        if are != were and (were is None or set(are) != set(were)):
            state.changed["alert", identity] = None
