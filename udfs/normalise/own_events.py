"""Own events: JSON of our published schema as it comes in, checked and enriched."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import structs

from schemas.codec import decode_timed_event, encode
from schemas.dead_letter import RejectReason
from schemas.refusal import DecodeError
from schemas.telemetry import COUNT_MAX, EVENT_BYTES_MAX, Data, EventType, Metadata, TelemetryEvent
from udfs.normalise.calls import REPORTED, settle_cost
from udfs.normalise.context import Context
from udfs.normalise.mending import mended
from udfs.normalise.normalised import Normalised, Rejection
from udfs.normalise.texts import settle_texts
from udfs.text.redaction import redacted_values

_array: Final = msgspec.json.Decoder(list[msgspec.Raw])
_CALLS: Final = (EventType.RESPONSE, EventType.ERROR)
_NEAR_THE_LIMIT: Final = EVENT_BYTES_MAX - 16_384
_PATH: Final = re.compile(r"^[a-z_]+(?:\.[a-z_]+|\[[^\]]*\])*$")


def event_of_json(data: bytes, context: Context, index: int = 0) -> TelemetryEvent | Rejection:
    """Return the event that JSON bytes hold, enriched; `index` is its position in the request, for a rejection.

    Values out of range are kept as far as they can be and flagged (`mending`); anything else that
    `schemas.codec.decode_event` refuses is rejected with its reason.
    """
    try:
        event, at_ms = _decode(data)
    except DecodeError as refused:
        return Rejection(index=index, reason=refused.reason, pointer=_pointer(refused.detail), detail=refused.detail)
    enriched = _enriched(event, at_ms, context)
    if len(data) > _NEAR_THE_LIMIT and len(encode(enriched)) > EVENT_BYTES_MAX:
        detail = f"more than {EVENT_BYTES_MAX} bytes with what ingestion adds"
        return Rejection(index=index, reason=RejectReason.TOO_LARGE, pointer="", detail=detail)
    return enriched


def events_of_lines(body: bytes, context: Context) -> Normalised:
    """Return the events of NDJSON: one a line, empty lines left out."""
    return _events(filter(bytes.strip, body.split(b"\n")), context)


def events_of_array(body: bytes, context: Context) -> Normalised:
    """Return the events of a JSON array. Raises DecodeError if the body is no array of JSON values."""
    try:
        items = _array.decode(body)
    except msgspec.ValidationError:
        raise DecodeError(RejectReason.WRONG_TYPE, "the body: expected an array of events") from None
    except msgspec.DecodeError as problem:
        raise DecodeError(RejectReason.NOT_JSON, f"the body: {problem}") from None
    return _events(map(bytes, items), context)


def _events(items: Iterable[bytes], context: Context) -> Normalised:
    result = Normalised()
    for index, item in enumerate(items):
        one = event_of_json(item, context, index)
        if isinstance(one, Rejection):
            result.rejected.append(one)
        else:
            result.events.append(one)
    return result


def _decode(data: bytes) -> tuple[TelemetryEvent, int]:
    try:
        return decode_timed_event(data)
    except DecodeError as refused:
        again = mended(data) if refused.reason is RejectReason.OUT_OF_RANGE else None
        if again is None:
            raise
        return decode_timed_event(again)


def _enriched(event: TelemetryEvent, at_ms: int, context: Context) -> TelemetryEvent:
    data, metadata = event.data, event.metadata
    changes = _changes(event, at_ms, context)
    if changes:
        data = structs.replace(data, **changes)
    if context.environment and not (metadata and metadata.environment):
        metadata = structs.replace(metadata or Metadata(), environment=context.environment)
    if context.privacy.redact:
        data = structs.replace(data, context=redacted_values(data.context), dimensions=redacted_values(data.dimensions))
        if metadata:
            tags, attributes = redacted_values(metadata.tags), redacted_values(metadata.attributes)
            metadata = structs.replace(metadata, tags=tags, attributes=attributes)
    return TelemetryEvent(
        event_id=event.event_id,
        timestamp=event.timestamp,
        source=event.source,
        event_type=event.event_type,
        application_id=event.application_id,
        data=data,
        schema_version=event.schema_version,
        tenant_id=context.tenant_id,
        correlation_id=event.correlation_id,
        trace_id=event.trace_id,
        span_id=event.span_id,
        metadata=metadata,
    )


def _changes(event: TelemetryEvent, at_ms: int, context: Context) -> dict[str, Any]:
    """Return the fields of `data` that ingestion adds or takes away."""
    data = event.data
    changes: dict[str, Any] = {}
    if data.prompt or data.response:
        changes = {"prompt": data.prompt, "response": data.response, "guardrail": data.guardrail}
        settle_texts(changes, context)
    if event.event_type not in _CALLS:
        return changes
    if data.cost is None:
        known = {name: value for name in _PRICED_BY if (value := getattr(data, name)) is not None}
        settle_cost(known, context, at_ms)
        changes |= {name: known[name] for name in ("cost", "cost_source") if name in known}
    elif data.cost_source is None:
        changes["cost_source"] = REPORTED
    if data.total_tokens is None and data.prompt_tokens is not None and data.completion_tokens is not None:
        changes["total_tokens"] = min(data.prompt_tokens + data.completion_tokens, COUNT_MAX)
    return changes


_PRICED_BY: Final = (
    *("provider", "model", "response_model"),
    *(name for name in Data.__struct_fields__ if name.endswith("_tokens")),
)


def _pointer(detail: str) -> str:
    """Return where a fault is, from the path that a refusal begins with."""
    path, colon, _ = detail.partition(":")
    if not colon or not _PATH.match(path):
        return ""
    return "/" + re.sub(r"\[[^\]]*\]", "", path).replace(".", "/")
