"""OTLP: the three signals, their messages, and the answers that the protocol asks for (OTLP 1.11)."""

from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from jobs.ingestion.outcome import Refusal, RefusedError, Taken
from jobs.ingestion.signals import Signal

_MESSAGE_CHARACTERS_MAX: Final = 4_096
"""What is said of rejected items; an answer must stay far below 4 MiB."""
_NAMED_MAX: Final = 5


REQUESTS: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: trace_service_pb2.ExportTraceServiceRequest,
    Signal.METRICS: metrics_service_pb2.ExportMetricsServiceRequest,
    Signal.LOGS: logs_service_pb2.ExportLogsServiceRequest,
}
_RESPONSES: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: trace_service_pb2.ExportTraceServiceResponse,
    Signal.METRICS: metrics_service_pb2.ExportMetricsServiceResponse,
    Signal.LOGS: logs_service_pb2.ExportLogsServiceResponse,
}
_REJECTED: Final = {
    Signal.TRACES: "rejected_spans",
    Signal.METRICS: "rejected_data_points",
    Signal.LOGS: "rejected_log_records",
}
_CODES: Final = {
    Refusal.UNDECODABLE: code_pb2.INVALID_ARGUMENT,
    Refusal.UNAUTHENTICATED: code_pb2.UNAUTHENTICATED,
    Refusal.FORBIDDEN: code_pb2.PERMISSION_DENIED,
    Refusal.NOT_FOUND: code_pb2.UNIMPLEMENTED,
    Refusal.WRONG_METHOD: code_pb2.UNIMPLEMENTED,
    Refusal.TOO_SLOW: code_pb2.DEADLINE_EXCEEDED,
    Refusal.TOO_LARGE: code_pb2.RESOURCE_EXHAUSTED,
    Refusal.UNSUPPORTED_TYPE: code_pb2.INVALID_ARGUMENT,
    Refusal.UNSUPPORTED_ENCODING: code_pb2.INVALID_ARGUMENT,
    Refusal.OVER_QUOTA: code_pb2.RESOURCE_EXHAUSTED,
    # Nothing of the request was taken, and whether a second try helps nobody knows: gRPC's INTERNAL would lose it.
    Refusal.FAULT: code_pb2.UNAVAILABLE,
    Refusal.OVERLOADED: code_pb2.UNAVAILABLE,
}


def response(signal: Signal, taken: Taken) -> Message:
    """Return the answer to an export: `partial_success` is set only when there is something to say."""
    answer: Any = _RESPONSES[signal]()
    if taken.rejected:
        setattr(answer.partial_success, _REJECTED[signal], len(taken.rejected))
        named = [f"{each.detail} (item {each.index}, {each.reason})" for each in taken.rejected[:_NAMED_MAX]]
        more = len(taken.rejected) - len(named)
        text = "; ".join(named) + (f"; and {more} more" if more else "")
        answer.partial_success.error_message = text[:_MESSAGE_CHARACTERS_MAX]
    elif taken.warnings:
        answer.partial_success.error_message = " ".join(taken.warnings)[:_MESSAGE_CHARACTERS_MAX]
    return answer  # type: ignore[no-any-return]


def status(refused: RefusedError) -> status_pb2.Status:
    """Return the status of a refusal: with RetryInfo if and only if it is worth trying again."""
    answer = status_pb2.Status(code=_CODES[refused.refusal], message=refused.detail)
    if refused.retry_after_s is not None:
        delay = Duration(nanos=0)
        delay.FromMilliseconds(max(1, round(refused.retry_after_s * 1_000)))
        answer.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    if refused.refusal is Refusal.UNDECODABLE:
        fault = error_details_pb2.BadRequest()
        for each in refused.rejected or ():
            fault.field_violations.add(field=f"/{each.index}{each.pointer}", description=each.detail)
        if not refused.rejected:
            fault.field_violations.add(field="", description=refused.detail)
        answer.details.add().Pack(fault)
    return answer


def as_json(message: Message) -> bytes:
    """Return a message in the JSON of protocol buffers, on one line."""
    return json_format.MessageToJson(message, indent=None).encode()
