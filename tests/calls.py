"""Telemetry for tests: seeded streams of calls, as records in the order of their arrival."""

import random
from collections.abc import Iterator

from schemas.codec import encode
from schemas.telemetry import HEARTBEAT_METRIC, Data, EventType, Metadata, Source, Status, TelemetryEvent
from schemas.time import from_at_ms

START_AT_MS = 1_700_000_000_000


def call(number: int, at_ms: int, application: int, latency_ms: float, *, is_error: bool = False) -> TelemetryEvent:
    """Return one call; the same arguments give the same event."""
    return TelemetryEvent(
        event_id=f"event-{number}",
        timestamp=from_at_ms(at_ms),
        source=Source(service="gateway", host="host-1"),
        event_type=EventType.RESPONSE,
        application_id=f"application-{application}",
        tenant_id=f"tenant-{application % 2}",
        trace_id=f"{number:032x}",
        data=Data(
            provider="openai",
            model="gpt-4o",
            status=Status.ERROR if is_error else Status.SUCCESS,
            latency_ms=round(latency_ms, 3),
            ttft_ms=round(latency_ms * 0.3, 3),
            prompt_tokens=100 + number % 50,
            completion_tokens=20 + number % 30,
            cost=0.01,
        ),
        metadata=Metadata(user_id=f"user-{number % 7}"),
    )


def heartbeat(at_ms: int, partition: int) -> bytes:
    """Return the record that moves event time in a partition."""
    return encode(
        TelemetryEvent(
            event_id=f"heartbeat-{partition}-{at_ms}",
            timestamp=from_at_ms(at_ms),
            source=Source(service="test", host="host-1"),
            event_type=EventType.METRIC,
            application_id="sentinel",
            data=Data(metric_name=HEARTBEAT_METRIC, value=1.0),
        )
    )


def troubled_calls(
    seconds: int, *, seed: int = 7, applications: int = 6, per_second: int = 30
) -> Iterator[TelemetryEvent]:
    """Return calls in event-time order: normal, from 70 % of the time on slow and failing, one absurd in the middle."""
    draw = random.Random(seed)
    total = seconds * per_second
    for number in range(total):
        is_troubled = number > 0.7 * total
        latency_ms = draw.lognormvariate(6.0, 0.5) * (4.0 if is_troubled else 1.0)
        if number == total // 2:
            latency_ms = 9e6
        yield call(
            number,
            START_AT_MS + number * 1000 // per_second,
            number % applications,
            latency_ms,
            is_error=draw.random() < (0.4 if is_troubled else 0.01),
        )
