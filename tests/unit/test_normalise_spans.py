"""OTLP spans as events."""

from schemas.telemetry import EventType, Status
from tests.normalising import context
from tests.otlp import resource_spans, span
from udfs.normalise.spans import events_of_spans
from udfs.normalise.wrappers import Wrappers

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 100,
}


def test_a_call_becomes_a_response_with_tokens_latency_and_cost() -> None:
    result = events_of_spans([resource_spans(span(CALL))], context(), Wrappers())
    (event,) = result.events
    assert event.event_type is EventType.RESPONSE
    assert (event.tenant_id, event.application_id) == ("acme", "checkout")
    assert event.timestamp == "2026-05-28T20:26:41.234Z"
    data = event.data
    assert (data.provider, data.model, data.status) == ("openai", "gpt-4o", Status.SUCCESS)
    assert (data.prompt_tokens, data.completion_tokens, data.total_tokens) == (1_000, 100, 1_100)
    assert data.latency_ms == 1_000
    assert (data.cost, data.cost_source) == (0.0035, "computed")
    assert data.cached_tokens is None


def test_a_chain_that_repeats_its_call_is_not_counted_whichever_comes_first_in_a_request() -> None:
    inner, outer = span(CALL, number=2, parent=1), span(CALL, number=1)
    for spans in ((inner, outer), (outer, inner)):
        result = events_of_spans([resource_spans(*spans)], context(), Wrappers())
        kinds = {event.span_id: event.event_type for event in result.events}
        assert kinds == {f"{2:016x}": EventType.RESPONSE, f"{1:016x}": EventType.TRACE}
        assert sum(event.data.prompt_tokens or 0 for event in result.events) == 1_000


def test_a_chain_is_not_counted_when_its_call_came_in_an_earlier_request() -> None:
    wrappers = Wrappers()
    events_of_spans([resource_spans(span(CALL, number=3, parent=2), span({}, number=2, parent=1))], context(), wrappers)
    result = events_of_spans([resource_spans(span(CALL, number=1))], context(), wrappers)
    assert [event.event_type for event in result.events] == [EventType.TRACE]


def test_spans_of_other_kinds_are_ignored_and_counted() -> None:
    result = events_of_spans([resource_spans(span({"http.route": "/"}), span(CALL, number=2))], context(), Wrappers())
    assert (len(result.events), result.ignored, result.items) == (1, {"not_llm": 1}, 2)


def test_a_span_that_has_not_ended_is_rejected_with_its_position() -> None:
    spans = (span({}), span(CALL, number=2, end_time_unix_nano=0))
    (rejection,) = events_of_spans([resource_spans(*spans)], context(), Wrappers()).rejected
    assert (rejection.index, rejection.pointer) == (1, "/endTimeUnixNano")
    assert rejection.detail == "endTimeUnixNano: a span has to say when it ended"
