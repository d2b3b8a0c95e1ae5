"""Own events: JSON of our published schema, as it comes from outside."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import structs

from schemas.codec import decode_event
from schemas.dead_letter import RejectReason
from schemas.refusal import DecodeError
from schemas.telemetry import Metadata, TelemetryEvent
from udfs.normalise.context import Context
from udfs.normalise.normalised import Normalised, Rejection

_array: Final = msgspec.json.Decoder(list[msgspec.Raw])


def event_of_json(data: bytes, context: Context, index: int = 0) -> TelemetryEvent | Rejection:
    """Return the event that JSON bytes hold, enriched; `index` is its position in the request, for a rejection."""
    try:
        event = decode_event(data)
    except DecodeError as refused:
        pointer = "/" + refused.detail.partition(":")[0].replace(".", "/") if ": " in refused.detail else ""
        return Rejection(index=index, reason=refused.reason, pointer=pointer, detail=refused.detail)
    metadata = event.metadata
    if context.environment and not (metadata and metadata.environment):
        metadata = structs.replace(metadata or Metadata(), environment=context.environment)
    return structs.replace(event, tenant_id=context.tenant_id, metadata=metadata)


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
