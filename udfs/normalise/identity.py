"""Identity: ids of events as functions of what was sent, so that a batch that is sent again has the same ones."""

from collections.abc import Iterable

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from udfs.identity import digest


def span_event_id(tenant_id: str, trace_id: str, span_id: str) -> str:
    """Return the id of the event that a span is; both of its ids have the length that they always have."""
    return digest("span", tenant_id, trace_id + span_id)


def content_event_id(kind: str, tenant_id: str, parts: Iterable[str], attributes: Iterable[KeyValue]) -> str:
    """Return the id of the event of an item that has none of its own; the order of attributes does not matter."""
    return digest(kind, tenant_id, *parts, *sorted_attributes(attributes))


def sorted_attributes(attributes: Iterable[KeyValue]) -> list[str]:
    """Return attributes as texts in an order of their own."""
    return sorted(pair.SerializeToString(deterministic=True).hex() for pair in attributes)
