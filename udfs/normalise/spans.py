"""Spans of OTLP traces as events: calls of models as `llm.response` or `llm.error`, other steps as `llm.trace`."""

from collections.abc import Iterable, Iterator
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from schemas.dead_letter import RejectReason
from schemas.telemetry import EARLIEST_AT_MS, LATEST_AT_MS, MILLISECONDS_MAX, TelemetryEvent
from udfs.identity import digest
from udfs.normalise.context import Context
from udfs.normalise.events import NOT_LLM, Origin, UnfitError, event_of, is_about_models, is_call
from udfs.normalise.found import Found
from udfs.normalise.normalised import Normalised
from udfs.normalise.wrappers import Step, Wrappers

_MILLION: Final = 1_000_000


def events_of_spans(resource_spans: Iterable[ResourceSpans], context: Context, wrappers: Wrappers) -> Normalised:
    """Return the spans of a request as events. Raises nothing, whatever the messages hold.

    `wrappers` is what is known of the tenant's earlier requests, and learns of this one.
    """
    result = Normalised()
    spans = list(_read(resource_spans))
    steps = [_step(span, found) for span, found in spans]
    wrappers.learn(steps)
    for index, ((span, found), step) in enumerate(zip(spans, steps, strict=True)):
        if not is_about_models(found):
            result.ignored[NOT_LLM] += 1
            continue
        try:
            result.events.append(
                _event(span, found, context, is_call=step.is_call and not wrappers.contains_call(step))
            )
        except UnfitError as unfit:
            result.rejected.append(unfit.rejection(index))
        else:
            result.fallbacks.update(found.fallbacks.values())
    return result


def _read(resource_spans: Iterable[ResourceSpans]) -> Iterator[tuple[Span, Found]]:
    for resource in resource_spans:
        earlier = Found()
        earlier.read(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                found = Found(earlier)
                found.read(span.attributes)
                yield span, found


def _step(span: Span, found: Found) -> Step:
    trace_id = span.trace_id
    return Step(
        ids=trace_id + span.span_id,
        parent_ids=trace_id + span.parent_span_id,
        is_call=is_call(found),
        has_tokens="prompt_tokens" in found.fields or "completion_tokens" in found.fields,
    )


def _event(span: Span, found: Found, context: Context, *, is_call: bool) -> TelemetryEvent:
    end_ns, start_ns = span.end_time_unix_nano, span.start_time_unix_nano
    at_ms = end_ns // _MILLION
    if not end_ns:
        raise UnfitError(RejectReason.MISSING_FIELD, "/endTimeUnixNano", "a span has to say when it ended")
    if not EARLIEST_AT_MS <= at_ms < LATEST_AT_MS:
        raise UnfitError(RejectReason.OUT_OF_RANGE, "/endTimeUnixNano", "outside the years 2000 to 2099")
    fields = found.fields
    if start_ns:
        latency_ms = (end_ns - start_ns) / _MILLION
        if 0 <= latency_ms <= MILLISECONDS_MAX:
            fields["latency_ms"] = latency_ms
        else:
            found.odd["duration_ms"] = latency_ms
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    is_known = any(span.trace_id) and any(span.span_id)
    return event_of(
        found,
        context,
        Origin(
            event_id=digest("span", context.tenant_id, trace_id, span_id)
            if is_known
            else digest("span", context.tenant_id, span.SerializeToString(deterministic=True).hex()),
            at_ms=at_ms,
            trace_id=trace_id or None,
            span_id=span_id or None,
            is_call=is_call,
            is_error=span.status.code == SpanStatus.STATUS_CODE_ERROR,
        ),
    )
