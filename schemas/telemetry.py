"""Telemetry event: one fact about one LLM call, as reported by whoever made it (envelope of the topic `llm-telemetry`).

Missing is null, never 0. Units: `_ms` milliseconds, tokens are counts, `cost` is US dollars. Limits are wide enough
for everything that can happen and narrow enough that sums of a window in microseconds and nano-dollars stay integers
of 64 bits. Unknown fields are ignored, so that producers may be ahead of us.
"""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.time import EVENT_TIME_PATTERN

EVENT_BYTES_MAX: Final = 1_048_576
"""Bytes one event may have on the wire."""
NESTING_MAX: Final = 64
"""Levels of objects and arrays one event may have, its own included."""
MILLISECONDS_MAX: Final = 1e9
"""Longest latency in milliseconds, eleven days."""
COUNT_MAX: Final = 1_000_000_000_000
"""Most tokens or characters of one call."""
COST_MAX: Final = 1e6
"""Dearest call in US dollars."""
EARLIEST_AT_MS: Final = 946_684_800_000
"""First acceptable event time, 2000-01-01T00:00:00Z."""
LATEST_AT_MS: Final = 4_102_444_800_000
"""First event time that is no longer acceptable, 2100-01-01T00:00:00Z."""

# `gc=False` on the structs: decoded values hold no cycles, and thousands of them at once would keep the collector busy
# (5.3 against 3.7 microseconds per event in batches of 5,000).

# Control characters separate the fields of the hand-over from the JVM. The codec refuses them itself: it can see from
# the bytes, for all texts of an event at once, that there are none, where a pattern would be run per text.
_NO_CONTROL: Final = {"not": {"pattern": r"[\u0000-\u001f]"}}

EventTime = Annotated[str, Meta(extra_json_schema={"format": "date-time", "pattern": EVENT_TIME_PATTERN})]
Identifier = Annotated[str, Meta(min_length=1, max_length=256, extra_json_schema=_NO_CONTROL)]
Label = Annotated[str, Meta(max_length=256, extra_json_schema=_NO_CONTROL)]
"""A short text by which events are told apart; empty means the same as missing."""
Milliseconds = Annotated[float, Meta(ge=0, le=MILLISECONDS_MAX)]
Dollars = Annotated[float, Meta(ge=0, le=COST_MAX)]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]


class EventType(StrEnum):
    """What kind of fact the event reports; one `llm.response` is enough to detect on."""

    REQUEST = "llm.request"
    RESPONSE = "llm.response"
    ERROR = "llm.error"
    METRIC = "llm.metric"
    TRACE = "llm.trace"


class Status(StrEnum):
    """How the call ended."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"


HEARTBEAT_METRIC: Final = "sentinel.heartbeat"
"""`data.metric_name` of the `llm.metric` that moves event time in a quiet partition; it is never detected on."""


class Source(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The program that reported the event."""

    service: Identifier
    host: Label
    version: Label | None = None


class Parameters(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Sampling parameters of the request."""

    temperature: float | None = None
    max_tokens: Count | None = None
    top_p: float | None = None


class Guardrail(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Verdict on the texts of the call, given where the texts still were (ingestion, sidecar, an external guard)."""

    verdict: Label | None = None
    category: Label | None = None
    action: Label | None = None
    score: float | None = None


class Data(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What happened. Which fields are set depends on the event type; only `llm.metric` needs one, its `metric_name`."""

    provider: Label | None = None
    operation: Label | None = None
    model: Label | None = None
    response_model: Label | None = None
    status: Status | None = None
    error_type: Label | None = None
    latency_ms: Milliseconds | None = None
    ttft_ms: Milliseconds | None = None
    stream: bool | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cost: Dollars | None = None
    cost_source: Label | None = None
    finish_reason: Label | None = None
    prompt: str | None = None
    prompt_hash: Label | None = None
    prompt_length: Count | None = None
    response: str | None = None
    response_hash: Label | None = None
    response_length: Count | None = None
    parameters: Parameters | None = None
    guardrail: Guardrail | None = None
    tool_name: Label | None = None
    agent_name: Label | None = None
    metric_name: Label | None = None
    value: float | None = None
    unit: Label | None = None
    dimensions: dict[str, str] | None = None
    context: dict[str, object] | None = None


class Metadata(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who called and from where."""

    user_id: Label | None = None
    session_id: Label | None = None
    environment: Label | None = None
    tags: dict[str, str] | None = None
    attributes: dict[str, object] | None = None


class TelemetryEvent(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One record of `llm-telemetry`, keyed by tenant and application.

    `event_id` is unique per fact; repeats are possible and change nothing. `timestamp` is the event time (end of the
    call for a response): RFC 3339 in JSON, long milliseconds since the epoch in Avro. A `schema_version` that is
    missing is 1.0.
    """

    event_id: Identifier
    timestamp: EventTime
    source: Source
    event_type: EventType
    application_id: Identifier
    data: Data
    schema_version: Label = "1.0"
    tenant_id: Label | None = None
    """None means the tenant `default`."""
    correlation_id: Label | None = None
    trace_id: Label | None = None
    span_id: Label | None = None
    metadata: Metadata | None = None
