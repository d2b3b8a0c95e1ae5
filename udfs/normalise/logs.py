"""Log records of OTLP as events: events of the GenAI conventions, and what some programs report only as logs."""

from collections.abc import Iterable
from typing import Any, Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs

from schemas.dead_letter import RejectReason
from schemas.telemetry import EARLIEST_AT_MS, LATEST_AT_MS, Data, EventType, Source, TelemetryEvent
from schemas.time import from_at_ms
from udfs.normalise.calls import settle_operation
from udfs.normalise.context import Context
from udfs.normalise.events import NOT_LLM, UNKNOWN_SERVICE, Origin, UnfitError, event_of, is_about_models, metadata_of
from udfs.normalise.found import CONTROLS, EVERYONE, LABEL_MAX, OF_CLAUDE_CODE, Found, Sources
from udfs.normalise.identity import content_event_id
from udfs.normalise.normalised import Normalised
from udfs.normalise.reading import label, text

_NANOSECONDS: Final = 1_000_000
_EVENT_NAME: Final = "event.name"
_CHOICE: Final = "gen_ai.choice"
_EVALUATION: Final = "gen_ai.evaluation.result"
_OF_SPANS: Final = frozenset({"gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception"})
"""Events that say again what a span says, if there is one."""
_CLAUDE_CODE: Final = "claude_code."
_ABOUT_MODELS: Final = ("gen_ai.", _CLAUDE_CODE)
_CALLS: Final = frozenset({"claude_code.api_request", "claude_code.api_error"})
_ERROR: Final = 17
"""Severity numbers from here on are errors."""


def events_of_logs(resource_logs: Iterable[ResourceLogs], context: Context) -> Normalised:
    """Return the log records of a request as events. Raises nothing, whatever the messages hold."""
    result = Normalised()
    index = -1
    for resource in resource_logs:
        of_resource = Found()
        of_resource.read(resource.resource.attributes)
        of_resource.keep_of_resource()
        for scope in resource.scope_logs:
            for record in scope.log_records:
                index += 1
                name, found = _read(record, of_resource)
                if not name.startswith(_ABOUT_MODELS) and not is_about_models(found):
                    result.ignored[NOT_LLM] += 1
                    continue
                try:
                    result.events.append(_event(record, name, found, context))
                except UnfitError as unfit:
                    result.rejected.append(unfit.rejection(index))
                else:
                    result.fallbacks.update(found.fallbacks.values())
    return result


def _read(record: LogRecord, of_resource: Found) -> tuple[str, Found]:
    name = record.event_name or next(
        (label(pair.value) or "" for pair in record.attributes if pair.key == _EVENT_NAME), ""
    )
    body = record.body.string_value
    if body.startswith(_CLAUDE_CODE):
        name = body
    found = Found(of_resource)
    sources: Sources = OF_CLAUDE_CODE if name.startswith(_CLAUDE_CODE) else EVERYONE
    found.read((pair for pair in record.attributes if pair.key != _EVENT_NAME), sources)
    found.join_parts()
    if name.startswith("gen_ai.") and record.HasField("body"):
        found.offer("response" if name == _CHOICE else "prompt", text(record.body))
    return name, found


def _event(record: LogRecord, name: str, found: Found, context: Context) -> TelemetryEvent:
    time_ns = record.time_unix_nano or record.observed_time_unix_nano
    at_ms = time_ns // _NANOSECONDS
    if not time_ns:
        raise UnfitError(RejectReason.MISSING_FIELD, "/timeUnixNano", "a log record has to say when it was written")
    if not EARLIEST_AT_MS <= at_ms < LATEST_AT_MS:
        raise UnfitError(RejectReason.OUT_OF_RANGE, "/timeUnixNano", "outside the years 2000 to 2099")
    trace_id, span_id = record.trace_id.hex()[:32], record.span_id.hex()[:16]
    content = (name, str(time_ns), trace_id, span_id, record.body.SerializeToString(deterministic=True).hex())
    event_id = content_event_id("log", context.tenant_id, content, record.attributes)
    if name == _EVALUATION:
        return _evaluation(found, event_id, at_ms, context)
    is_own_call = name in _CALLS
    if name.startswith(_CLAUDE_CODE):
        found.offer("provider", "anthropic")
        found.offer("operation", "chat" if is_own_call else name.removeprefix(_CLAUDE_CODE))
    is_call = settle_operation(found.fields)
    if not is_own_call:
        # What belongs to a span is counted there.
        is_call = is_call and name in _OF_SPANS and not any(record.span_id)
    failed = record.severity_number >= _ERROR or name == "claude_code.api_error"
    return event_of(
        found,
        context,
        Origin(
            event_id=event_id,
            at_ms=at_ms,
            trace_id=trace_id or None,
            span_id=span_id or None,
            is_call=is_call,
            is_error=failed if is_call or failed else None,
        ),
    )


def _evaluation(found: Found, event_id: str, at_ms: int, context: Context) -> TelemetryEvent:
    """Return the score that somebody gave to an answer, as a metric."""
    scores: dict[str, Any] = {}
    for pair in found.others:
        if pair.key in {"gen_ai.evaluation.name", "gen_ai.evaluation.score.label"}:
            scores[pair.key] = label(pair.value)
        elif pair.key == "gen_ai.evaluation.score.value":
            scores[pair.key] = pair.value.double_value or float(pair.value.int_value)
    fields = found.fields
    service = fields.get("service") or UNKNOWN_SERVICE
    said = scores.get("gen_ai.evaluation.score.label")
    data = Data(
        metric_name=f"gen_ai.evaluation.{scores.get('gen_ai.evaluation.name') or 'unnamed'}".translate(CONTROLS)[
            :LABEL_MAX
        ],
        value=scores.get("gen_ai.evaluation.score.value"),
        dimensions={"label": said[:LABEL_MAX]} if said else None,
        provider=fields.get("provider"),
        model=fields.get("model"),
    )
    found.others = []
    return TelemetryEvent(
        event_id=event_id,
        timestamp=from_at_ms(at_ms),
        source=Source(service=service, host=fields.get("host", ""), version=fields.get("version")),
        event_type=EventType.METRIC,
        application_id=service,
        data=data,
        tenant_id=context.tenant_id,
        correlation_id=fields.get("correlation_id"),
        metadata=metadata_of(found, context),
    )
