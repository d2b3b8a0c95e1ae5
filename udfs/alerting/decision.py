"""Decisions: what dispatch did about an alert or a group, and why."""

from enum import StrEnum

from msgspec import Struct


class DecisionReason(StrEnum):
    """Everything that dispatch can decide; the set is closed."""

    # About an alert as it comes in.
    ROUTED = "routed"
    """It belongs to the group, which is told of by the receiver."""
    MERGED = "merged"
    """Its interval overlaps with what was known of it: the two are one."""
    SHIELD_ASKED = "shield_asked"
    """Its definition has Shield do something about its traffic; `refers_to` is the action."""
    # About an alert when its group is looked at.
    INHIBITED = "inhibited"
    """`refers_to` is the fingerprint of the alert that inhibits it."""
    SILENCED = "silenced"
    """`refers_to` is the identifier of the silence."""
    RESOLVED_BEFORE_NOTICE = "resolved_before_notice"
    """It ended before anybody was told that it fired, so nobody is told at all."""
    # About a group when it is looked at.
    MUTED_BY_INTERVAL = "muted_by_interval"
    """`refers_to` is the name of the time interval."""
    OUTSIDE_ACTIVE_INTERVALS = "outside_active_intervals"
    """`refers_to` has the names of the intervals, none of which holds now."""
    THROTTLED = "throttled"
    """The receiver or the tenant has had its share; `refers_to` is the tenant. What it missed comes with the next."""
    HELD_BY_STORM = "held_by_storm"
    """Too many groups of a tenant opened at once: it waits until it is calm, and then for its turn."""
    DUPLICATE = "duplicate"
    """The channel knows all of it, and its repeat interval has not passed."""
    STILL_SENDING = "still_sending"
    """The same notice is under way; `refers_to` is its identifier."""
    RESOLVED_NOT_WANTED = "resolved_not_wanted"
    """Only resolved alerts, and the channel does not send them."""
    # About a notice.
    NOTIFIED = "notified"
    """It was handed over for sending; `refers_to` is why, `notification_id` which."""
    SENT = "sent"
    """The receiver has confirmed it."""
    FAILED = "failed"
    """It cannot be delivered; the group's next turn decides again."""
    SUPERSEDED = "superseded"
    """Not yet delivered when a newer notice took its place; `refers_to` is the newer one."""
    # About the escalation of a group.
    ESCALATION_BEGUN = "escalation_begun"
    """The group was looked at for the first time; `refers_to` is its chain."""
    ESCALATED = "escalated"
    """The receiver is told by a step of the chain; `refers_to` is the step, and the person if it is about one."""
    ESCALATED_BY_HAND = "escalated_by_hand"
    """Somebody wants the next step at once; `refers_to` is who."""
    NOBODY_ON_CALL = "nobody_on_call"
    """The step told nobody; `refers_to` is the schedule."""
    ESCALATION_PAUSED = "escalation_paused"
    """A step is due, but none of the alerts may be told of; `refers_to` is why."""
    ESCALATION_OUTSIDE_HOURS = "escalation_outside_hours"
    """The chain waits for the hours in which it goes on."""
    ESCALATION_TOO_FEW_ALERTS = "escalation_too_few_alerts"
    """The chain waits for more alerts; `refers_to` is how many there are of how many."""
    ESCALATION_REPEATED = "escalation_repeated"
    """The chain begins again; `refers_to` is for the how manieth time."""
    ESCALATION_EXHAUSTED = "escalation_exhausted"
    """The last step is done, and nobody has acknowledged."""
    ESCALATION_RESOLVED = "escalation_resolved"
    """The chain ends the alerts of the group."""
    ESCALATION_STOPPED = "escalation_stopped"
    """The alerts are resolved."""
    ACKNOWLEDGED = "acknowledged"
    """Somebody has taken the group on; `refers_to` is who. Until it is over nothing is repeated."""
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement_expired"
    """It still fires after the time somebody took it on for; `refers_to` is who."""


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision, as it is kept for `why`."""

    at_ms: int
    reason: DecisionReason
    group_key: str = ""
    receiver: str = ""
    channel: str = ""
    fingerprint: str = ""
    """Of the alert; empty if the decision is about the whole group."""
    refers_to: str = ""
    notification_id: str = ""
