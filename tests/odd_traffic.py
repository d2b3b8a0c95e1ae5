"""Traffic in which one application's metrics no longer hang together as they did."""

import random
from collections.abc import Iterator

from msgspec.structs import replace

from schemas.telemetry import TelemetryEvent
from tests.calls import START_AT_MS, call

PER_HOUR = 7_200


def traffic(
    seed: int, hours: float, *, change: tuple[float, float, float] = (1.0, 1.0, 1.0), start_at_ms: int = START_AT_MS
) -> Iterator[TelemetryEvent]:
    """Return calls of six applications, two a second.

    In the last hour `change` multiplies latency, time to first token and prompt tokens of the first application.
    """
    draw = random.Random(seed)
    latency, ttft, prompt = change
    for number in range(int(hours * PER_HOUR)):
        event = call(number, start_at_ms + number * 500, number % 6, draw.lognormvariate(6.0, 0.5))
        data = event.data
        if number % 6 or number <= (hours - 1) * PER_HOUR:
            yield event
        else:
            changed = replace(
                data,
                latency_ms=(data.latency_ms or 0.0) * latency,
                ttft_ms=(data.ttft_ms or 0.0) * ttft,
                prompt_tokens=int((data.prompt_tokens or 0) * prompt),
            )
            yield replace(event, data=changed)
