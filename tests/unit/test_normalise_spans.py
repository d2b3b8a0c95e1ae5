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


def test_a_call_without_tokens_does_not_take_them_from_the_one_around_it() -> None:
    bare = {name: value for name, value in CALL.items() if "usage" not in name}
    result = events_of_spans(
        [resource_spans(span(bare, number=2, parent=1), span(CALL, number=1))], context(), Wrappers()
    )
    assert [event.data.prompt_tokens for event in result.events] == [None, 1_000]
    result = events_of_spans(
        [resource_spans(span(bare, number=2, parent=1), span(bare, number=1))], context(), Wrappers()
    )
    assert [event.event_type for event in result.events] == [EventType.RESPONSE, EventType.TRACE]


def test_parents_in_a_circle_end_somewhere() -> None:
    spans = (span(CALL, number=1, parent=2), span(CALL, number=2, parent=1))
    result = events_of_spans([resource_spans(*spans)], context(), Wrappers())
    assert result.items == 2


def test_spans_that_are_remembered_are_bounded() -> None:
    wrappers = Wrappers(remembered=1)
    for number in (2, 4):
        events_of_spans([resource_spans(span(CALL, number=number, parent=number - 1))], context(), wrappers)
    result = events_of_spans([resource_spans(span(CALL, number=1), span(CALL, number=3))], context(), wrappers)
    assert [event.event_type for event in result.events] == [EventType.RESPONSE, EventType.TRACE]


def test_a_failed_call_is_an_error_and_a_timeout_where_its_type_says_so() -> None:
    for error_type, status in {"timeout": Status.TIMEOUT, "504": Status.TIMEOUT, "rate_limit": Status.ERROR}.items():
        (event,) = events_of_spans(
            [resource_spans(span(CALL | {"error.type": error_type}))], context(), Wrappers()
        ).events
        assert (event.event_type, event.data.status, event.data.error_type) == (EventType.ERROR, status, error_type)


def test_a_cost_in_another_currency_is_not_taken() -> None:
    reported = {"gen_ai.usage.cost.amount": 2.0, "gen_ai.usage.cost.currency": "EUR"}
    (event,) = events_of_spans([resource_spans(span(CALL | reported))], context(), Wrappers()).events
    assert (event.data.cost, event.data.cost_source) == (0.0035, "computed")


def test_a_span_without_ids_has_the_id_of_its_content() -> None:
    bare = [span(CALL | {"user.id": user}, trace_id=b"", span_id=b"") for user in ("a", "b", "a")]
    ids = [event.event_id for event in events_of_spans([resource_spans(*bare)], context(), Wrappers()).events]
    assert ids[0] == ids[2] != ids[1]


def test_the_same_span_of_two_tenants_has_two_ids() -> None:
    ids = {
        events_of_spans([resource_spans(span(CALL))], context(tenant_id=tenant), Wrappers()).events[0].event_id
        for tenant in ("acme", "umbrella")
    }
    assert len(ids) == 2


def test_attributes_that_may_hold_content_or_credentials_are_not_kept() -> None:
    others = {
        "my.prompt.text": "secret plan",
        "http.request.header.authorization": "Bearer x",
        "retries": 2,
        "region": "eu",
        "note": "x" * 129,
        "cached": True,
    }
    (event,) = events_of_spans([resource_spans(span(CALL | others))], context(), Wrappers()).events
    assert event.metadata is not None
    assert event.metadata.attributes == {"cached": True, "region": "eu", "retries": 2}
