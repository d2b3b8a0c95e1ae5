"""Spans of OTLP traces as events: calls of models as `llm.response` or `llm.error`, other steps as `llm.trace`."""

from collections.abc import Iterable, Iterator
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from schemas.dead_letter import RejectReason
from schemas.telemetry import EARLIEST_AT_MS, LATEST_AT_MS, MILLISECONDS_MAX, TelemetryEvent
from udfs.normalise.calls import has_tokens, settle_operation
from udfs.normalise.context import Context
from udfs.normalise.events import NOT_LLM, Origin, UnfitError, event_of, is_about_models
from udfs.normalise.found import Found
from udfs.normalise.identity import content_event_id, span_event_id
from udfs.normalise.normalised import Normalised
from udfs.normalise.span_events import read_span_events
from udfs.normalise.wrappers import Step, Wrappers

NANOSECONDS: Final = 1_000_000
"""In a millisecond."""
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


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
        counts = step.is_call and not wrappers.contains_call(step)
        try:
            result.events.append(_event(span, found, context, is_call=counts))
        except UnfitError as unfit:
            result.rejected.append(unfit.rejection(index))
        else:
            if found.fallbacks:
                result.fallbacks.update(found.fallbacks.values())
    return result


def _read(resource_spans: Iterable[ResourceSpans]) -> Iterator[tuple[Span, Found]]:
    for resource in resource_spans:
        of_resource = Found()
        of_resource.read(resource.resource.attributes)
        of_resource.keep_of_resource()
        for scope in resource.scope_spans:
            for span in scope.spans:
                found = Found(of_resource)
                found.read(span.attributes)
                if span.events:
                    read_span_events(span, found)
                found.join_parts()
                yield span, found


def _step(span: Span, found: Found) -> Step:
    trace_id = span.trace_id
    is_call = settle_operation(found.fields)
    return Step(trace_id + span.span_id, trace_id + span.parent_span_id, is_call, has_tokens(found.fields))


def _event(span: Span, found: Found, context: Context, *, is_call: bool) -> TelemetryEvent:
    end_ns, start_ns = span.end_time_unix_nano, span.start_time_unix_nano
    at_ms = end_ns // NANOSECONDS
    if not end_ns:
        raise UnfitError(RejectReason.MISSING_FIELD, "/endTimeUnixNano", "a span has to say when it ended")
    if not EARLIEST_AT_MS <= at_ms < LATEST_AT_MS:
        raise UnfitError(RejectReason.OUT_OF_RANGE, "/endTimeUnixNano", "outside the years 2000 to 2099")
    _add_times(found, start_ns, end_ns)
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    is_known = _is_set(trace_id, _NO_TRACE) and _is_set(span_id, _NO_SPAN)
    tenant_id = context.tenant_id
    return event_of(
        found,
        context,
        Origin(
            event_id=span_event_id(tenant_id, trace_id, span_id)
            if is_known
            else content_event_id("span", tenant_id, (span.name, str(start_ns), str(end_ns)), span.attributes),
            at_ms=at_ms,
            trace_id=trace_id[:32] or None,
            span_id=span_id[:16] or None,
            is_call=is_call,
            is_error=span.status.code == SpanStatus.STATUS_CODE_ERROR,
        ),
    )


def _is_set(identity: str, unset: str) -> bool:
    return len(identity) == len(unset) and identity != unset


def _add_times(found: Found, start_ns: int, end_ns: int) -> None:
    """Add how long the span took, and what an absolute time of the first token comes to."""
    first_at_ms = found.fields.pop("first_token_at_ms", None)
    if not start_ns:
        return
    latency_ms = (end_ns - start_ns) / NANOSECONDS
    if not 0 <= latency_ms <= MILLISECONDS_MAX:
        found.odd["duration_ms"] = latency_ms
        return
    found.fields["latency_ms"] = latency_ms
    if first_at_ms is not None and 0 <= first_at_ms - start_ns // NANOSECONDS <= MILLISECONDS_MAX:
        found.offer("ttft_ms", float(first_at_ms - start_ns // NANOSECONDS))
