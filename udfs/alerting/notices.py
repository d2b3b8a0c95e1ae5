"""Notices under way, at most one to each channel of a receiver and group, and the log of those that have arrived."""

from udfs.alerting.decided import about_notice
from udfs.alerting.decision import Decision, DecisionReason
from udfs.alerting.notification import NotificationReason
from udfs.alerting.notification_log import LogEntry
from udfs.alerting.records import Changed, Pending

LOG_RETENTION_MS = 120 * 3_600_000


class Notices:
    """What has been told, and what is being told; a place is a group key, a receiver and a channel."""

    def __init__(self, changed: Changed) -> None:
        """Begin with none; the records to be written are noted in `changed`."""
        self.log: dict[tuple[str, str, str], LogEntry] = {}
        """By place."""
        self.pending: dict[str, Pending] = {}
        """By identifier."""
        self._under_way: dict[tuple[str, str, str], str] = {}
        self._changed = changed

    def under_way(self, group_key: str, receiver: str, channel: str) -> Pending | None:
        """Return what is on its way to a place, None if nothing is."""
        identifier = self._under_way.get((group_key, receiver, channel))
        return None if identifier is None else self.pending[identifier]

    def hand_over(self, pending: Pending, reason: NotificationReason, now_ms: int, decisions: list[Decision]) -> str:
        """Begin to tell; returns the identifier of the notice that this one supersedes, empty if it does none."""
        before = self.under_way(*pending.place)
        if before is not None:
            decisions.append(about_notice(before, DecisionReason.SUPERSEDED, now_ms, pending.notification_id))
            self.settle(before.notification_id)
        self.restore(pending)
        self._changed["pending", pending.notification_id] = None
        decisions.append(about_notice(pending, DecisionReason.NOTIFIED, now_ms, reason))
        return "" if before is None else before.notification_id

    def restore(self, pending: Pending) -> None:
        """Take a notice as being under way, as its record says."""
        self.pending[pending.notification_id] = pending
        self._under_way[pending.place] = pending.notification_id

    def settle(self, identifier: str) -> Pending | None:
        """Take a notice as no longer under way and return it; None if it was not."""
        pending = self.pending.pop(identifier, None)
        if pending is not None:
            self._under_way.pop(pending.place, None)
            self._changed["pending", identifier] = None
        return pending

    def write_log(self, pending: Pending, at_ms: int) -> None:
        """Take note that a place knows what the notice says."""
        kept_ms = min(2 * pending.repeat_interval_ms, LOG_RETENTION_MS)
        self.log[pending.place] = LogEntry(
            sent_at_ms=at_ms, firing=pending.firing, resolved=pending.resolved, expires_at_ms=at_ms + kept_ms
        )
        self._changed["log", log_key(*pending.place)] = None

    def forget_log(self, place: tuple[str, str, str]) -> None:
        """Forget what a place knows."""
        del self.log[place]
        self._changed["log", log_key(*place)] = None


def log_key(group_key: str, receiver: str, channel: str) -> str:
    """Return the key of the record of what a place knows."""
    return f"{group_key}\x00{receiver}\x00{channel}"


def place_of(key: str) -> tuple[str, str, str]:
    """Return the place that the key of a record of the log is about."""
    group_key, receiver, channel = key.split("\x00")
    return group_key, receiver, channel
