"""The dead-man's switch: an alert that fires when a stream that should never be silent has been."""

from msgspec import Struct

from udfs.alerting.alert import Alert

ALERT_NAME = "SentinelSilent"
_TOLD_FOR_MS = 60_000
"""How long an alert holds that is not repeated."""


class DeadMan(Struct, frozen=True, array_like=True):
    """What is known of a stream. Before the first sign of life ever, silence means nothing."""

    seen_at_ms: int | None = None
    """When it last moved."""
    silent_since_ms: int | None = None
    """Since when its silence has been told of; None while it has not."""


def heard(state: DeadMan, stream: str, now_ms: int, silence_ms: int) -> tuple[DeadMan, tuple[Alert, ...]]:
    """Take a sign of life, which ends the alert of silence, if there was one."""
    ended: tuple[Alert, ...] = ()
    if state.silent_since_ms is not None:
        ended = (_alert(stream, state.silent_since_ms, now_ms, now_ms, silence_ms),)
    return DeadMan(seen_at_ms=now_ms), ended


def not_heard(state: DeadMan, stream: str, now_ms: int, silence_ms: int) -> tuple[DeadMan, tuple[Alert, ...]]:
    """Take note that there is no sign of life now; return the alert of it once it has lasted for `silence_ms`."""
    if state.seen_at_ms is None or now_ms - state.seen_at_ms < silence_ms:
        return state, ()
    since_ms = state.silent_since_ms if state.silent_since_ms is not None else state.seen_at_ms
    told = DeadMan(state.seen_at_ms, since_ms)
    return told, (_alert(stream, since_ms, now_ms, now_ms + _TOLD_FOR_MS, silence_ms),)


def _alert(stream: str, since_ms: int, now_ms: int, ends_at_ms: int, silence_ms: int) -> Alert:
    return Alert(
        labels={"alertname": ALERT_NAME, "severity": "critical", "stream": stream, "sentinel_source": "dispatch"},
        annotations={
            "summary": f"Nothing has come in {stream} for {silence_ms // 1_000} s",
            "description": (
                f"{stream} is written to all the time. Its silence means that the detection job, Kafka or everything "
                "before them stands still, and that no anomaly would be found now."
            ),
            "what_to_do": "See `sentinel status`, the detection job in Flink's web pages, and the ingestion.",
        },
        starts_at_ms=since_ms,
        updated_at_ms=now_ms,
        ends_at_ms=ends_at_ms,
    )
