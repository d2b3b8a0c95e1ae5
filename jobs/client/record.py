"""Record: a call as its program saw it, and the event it becomes, written in the thread that sends."""

import json
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple


class CallRecord(NamedTuple):
    """One call; None is unknown. Texts are there only if the program opted in."""

    application: str
    at_s: float
    """When it ended, in seconds since the epoch."""
    provider: str
    operation: str
    data: dict[str, Any]
    """Fields of `data` in the telemetry event."""
    correlation_id: str | None
    user: str | None
    session: str | None
    environment: str | None


class _Events(NamedTuple):
    path: str = "/v1/events"
    media_type: str = "application/x-ndjson"

    @staticmethod
    def encode(values: list[Any]) -> bytes:
        """Return events as NDJSON."""
        return b"\n".join(_line(value) for value in values)


EVENTS: Final = _Events()
HOST: Final = socket.gethostname()


def default_application() -> str:
    """Return what this program is called: SENTINEL_APPLICATION, OTEL_SERVICE_NAME, or the name of its file."""
    named = os.environ.get("SENTINEL_APPLICATION") or os.environ.get("OTEL_SERVICE_NAME")
    return named or Path(sys.argv[0] if sys.argv and sys.argv[0] else "python").stem or "python"


def dropped_event(count: int) -> dict[str, Any]:
    """Return the event that says how many items were left out since the last one."""
    return _envelope(
        default_application(),
        datetime.now(UTC).timestamp(),
        "llm.metric",
        {"metric_name": "sentinel.client.dropped", "value": count},
    )


def _line(value: CallRecord | dict[str, Any]) -> bytes:
    if isinstance(value, dict):
        return json.dumps(value).encode()
    kind = "llm.response" if value.data.get("status") == "success" else "llm.error"
    data = {"provider": value.provider, "operation": value.operation, **value.data}
    event = _envelope(value.application, value.at_s, kind, {k: v for k, v in data.items() if v is not None})
    if value.correlation_id:
        event["correlation_id"] = value.correlation_id[:256]
    who = {"user_id": value.user, "session_id": value.session, "environment": value.environment}
    if metadata := {name: text for name, text in who.items() if text}:
        event["metadata"] = metadata
    return json.dumps(event, default=str).encode()


def _envelope(application: str, at_s: float, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        # Made once: a batch that is sent again has the same ids.
        "event_id": os.urandom(16).hex(),
        "timestamp": at,
        "source": {"service": application, "host": HOST},
        "event_type": kind,
        "application_id": application,
        "data": data,
    }
