"""Decisions about groups and about what is told of them."""

from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.group import Group
from udfs.alerting.records import Pending


def about_group(group: Group, reason: DecisionReason, at_ms: int, identity: str, refers_to: str) -> Decision:
    """Return a decision about a group, or about the alert of it with this fingerprint."""
    return Decision(
        at_ms=at_ms,
        reason=reason,
        group_key=group.key,
        receiver=group.route.receiver,
        fingerprint=identity,
        refers_to=refers_to,
    )


def about_notice(pending: Pending, reason: DecisionReason, at_ms: int, refers_to: str = "") -> Decision:
    """Return a decision about a notice."""
    return Decision(
        at_ms=at_ms,
        reason=reason,
        group_key=pending.group_key,
        receiver=pending.receiver,
        channel=pending.channel,
        refers_to=refers_to,
        notification_id=pending.notification_id,
    )
