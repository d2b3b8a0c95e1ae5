"""Heartbeats: what tells every partition how far event time has come, although it is quiet."""

from typing import Final
from uuid import NAMESPACE_URL, uuid5

from schemas.telemetry import HEARTBEAT_METRIC, Data, EventType, Source, TelemetryEvent
from schemas.time import from_at_ms

EVERY_S: Final = 1.0


def heartbeat(host: str, at_ms: int, partition: int) -> TelemetryEvent:
    """Return the event by which the instance on `host` says: this partition has been told everything up to `at_ms`."""
    return TelemetryEvent(
        event_id=str(uuid5(NAMESPACE_URL, f"sentinel/heartbeat/{host}/{partition}/{at_ms}")),
        timestamp=from_at_ms(at_ms),
        source=Source(service="ingestion", host=host),
        event_type=EventType.METRIC,
        application_id="sentinel",
        data=Data(metric_name=HEARTBEAT_METRIC, value=1.0, unit="1", dimensions={"partition": str(partition)}),
    )
