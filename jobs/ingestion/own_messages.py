"""Own messages: events of our gRPC service as the JSON that the codec checks, so that both mean the same."""

from typing import Any

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from schemas.proto.llmsentinel.v1 import ingestion_pb2


def event_json(event: ingestion_pb2.TelemetryEvent) -> bytes:
    """Return an event as JSON; what is not set is left out."""
    return msgspec.json.encode(_document(event))


def _document(message: Message) -> dict[str, Any]:
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is None:
        return value
    # The only messages that repeat are the entries of maps.
    return dict(value) if field.message_type.GetOptions().map_entry else _document(value)
