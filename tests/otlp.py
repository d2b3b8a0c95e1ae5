"""OTLP messages for tests, made from plain values."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

END_NS = 1_780_000_001_234_567_890


def any_value(value: Any) -> AnyValue:
    """Return a JSON value as an OTLP one."""
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
    return AnyValue() if value is None else AnyValue(**{kind[type(value)]: value})


def key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    """Return attributes in their order."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def span(attributes: Mapping[str, Any], *, number: int = 1, parent: int | None = None, **fields: Any) -> Span:
    """Return a span of one second; spans of one trace are told apart by their number."""
    values: dict[str, Any] = {
        "trace_id": bytes(15) + b"\x07",
        "span_id": number.to_bytes(8, "big"),
        "parent_span_id": b"" if parent is None else parent.to_bytes(8, "big"),
        "name": "chat",
        "start_time_unix_nano": END_NS - 1_000_000_000,
        "end_time_unix_nano": END_NS,
        "attributes": key_values(attributes),
    }
    return Span(**(values | fields))


def resource_spans(*spans: Span, **resource: Any) -> ResourceSpans:
    """Return spans of one program; keyword arguments are its attributes, dots written as double underscores."""
    found = ResourceSpans()
    names = {"service__name": "checkout"} | resource
    found.resource.attributes.extend(key_values({name.replace("__", "."): each for name, each in names.items()}))
    found.scope_spans.add().spans.extend(spans)
    return found
