"""What has been told: the memory that keeps a receiver from being told twice."""

from msgspec import Struct

from udfs.alerting.notification import NotificationReason


class LogEntry(Struct, frozen=True, kw_only=True):
    """The last notice that one channel of a receiver had of a group: which alerts, and when."""

    sent_at_ms: int
    firing: frozenset[str]
    """Fingerprints."""
    resolved: frozenset[str]
    expires_at_ms: int


def notify_reason(
    entry: LogEntry | None,
    *,
    firing: frozenset[str],
    resolved: frozenset[str],
    send_resolved: bool,
    repeat_interval_ms: int,
    now_ms: int,
) -> NotificationReason | None:
    """Return why a channel has to be told of a group now, or None if it knows all there is.

    Source: Alertmanager 0.34, `notify.DedupStage.needsUpdate`. That all alerts are resolved is decided for channels
    that are not told of resolved alerts, too: nothing is sent, and the log forgets what fired.
    """
    told_firing = entry.firing if entry is not None else frozenset()
    if not firing:
        return NotificationReason.ALL_ALERTS_RESOLVED if told_firing else None
    if entry is None or not told_firing:
        return NotificationReason.FIRST_NOTIFICATION
    if not firing <= told_firing:
        return NotificationReason.NEW_ALERTS_IN_GROUP
    if send_resolved and not resolved <= entry.resolved:
        return NotificationReason.NEW_RESOLVED_ALERTS
    if entry.sent_at_ms < now_ms - repeat_interval_ms:
        return NotificationReason.REPEAT_INTERVAL_ELAPSED
    return None
