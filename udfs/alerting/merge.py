"""What becomes of an alert that is sent again."""

from msgspec.structs import replace

from udfs.alerting.alert import Alert


def with_end(alert: Alert, resolve_timeout_ms: int) -> Alert:
    """Return the alert with an end: its own, or the resolve time-out after its sender last spoke."""
    if alert.ends_at_ms is not None:
        return alert
    return replace(alert, ends_at_ms=alert.updated_at_ms + resolve_timeout_ms, times_out=True)


def merged(known: Alert, sent: Alert, now_ms: int) -> Alert | None:
    """Return both as one alert if their intervals overlap, or None if what was sent takes the other's place.

    Both have an end. The earliest start is kept; of two that have ended the latest end, and an end that was given
    outlasts one by time-out. Source: Alertmanager, `mem.Alerts.Put` and `types.Alert.Merge`.
    """
    start, end = known.starts_at_ms, known.ends_at_ms or 0
    sent_end = sent.ends_at_ms or 0
    if not (start < sent_end < end or start < sent.starts_at_ms < end):
        return None
    older, younger = (known, sent) if sent.updated_at_ms >= known.updated_at_ms else (sent, known)
    older_end, younger_end = older.ends_at_ms or 0, younger.ends_at_ms or 0
    if younger.is_resolved(now_ms):
        end = max(older_end, younger_end) if older.is_resolved(now_ms) else younger_end
    elif older_end > younger_end and not older.times_out:
        end = older_end
    else:
        end = younger_end
    return replace(younger, starts_at_ms=min(older.starts_at_ms, younger.starts_at_ms), ends_at_ms=end)
