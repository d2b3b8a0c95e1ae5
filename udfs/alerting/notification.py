from enum import StrEnum

from msgspec import Struct

from udfs.alerting.alert import Alert


class NotificationReason(StrEnum):
    """Why a receiver is told of a group now."""

    FIRST_NOTIFICATION = "first_notification"
    NEW_ALERTS_IN_GROUP = "new_alerts_in_group"
    NEW_RESOLVED_ALERTS = "new_resolved_alerts"
    ALL_ALERTS_RESOLVED = "all_alerts_resolved"
    REPEAT_INTERVAL_ELAPSED = "repeat_interval_elapsed"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    HELD_BACK = "held_back"
    """What a throttle has held back is summed up."""
    TEST = "test"


class Notification(Struct, frozen=True, kw_only=True):
    """One message to one channel of one receiver about one group of alerts."""

    notification_id: str
    """Function of group, channel and what is told: the idempotency key, the same on every try."""
    receiver: str
    channel: str
    """Which channel of the receiver: kind and position, as `slack[0]`."""
    group_key: str
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    common_annotations: dict[str, str]
    alerts: tuple[Alert, ...]
    resolved: tuple[bool, ...]
    """Beside each alert whether it had ended when this was decided; the others may have an end still."""
    fingerprints: tuple[str, ...] = ()
    """Beside each alert its fingerprint; none in a notification that an older version has kept."""
    reason: NotificationReason
    created_at_ms: int
    truncated_alerts: int = 0
    external_url: str = ""
    deadline_at_ms: int | None = None
    """When the group is looked at again; what is not delivered by then may be decided anew."""
    supersedes: str = ""
    """Identifier of an undelivered notice that this one takes the place of: it is not to be tried any more."""

    @property
    def firing(self) -> bool:
        """Whether at least one alert fires."""
        return not all(self.resolved)
