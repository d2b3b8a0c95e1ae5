"""Laws of normalising, whatever is sent."""

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from schemas.codec import decode_event, encode
from schemas.telemetry import TelemetryEvent
from tests import any_otlp
from tests.any_otlp import seeded
from tests.normalising import context
from tests.otlp import resource_spans, span
from udfs.normalise.context import Context, Privacy
from udfs.normalise.logs import events_of_logs
from udfs.normalise.metrics import NormalisedMetrics, events_of_metrics
from udfs.normalise.normalised import Normalised, record_key
from udfs.normalise.own_events import event_of_json
from udfs.normalise.spans import events_of_spans
from udfs.normalise.streams import Streams
from udfs.normalise.wrappers import Wrappers
from udfs.text.judge import KeywordRule

KNOWN = context(text_rules=(KeywordRule(category="c", phrases=("hi",)),))
KEEPING = context(privacy=Privacy(hash_key=b"k" * 32, keep_texts=True, redact=True), environment="prod")
EXAMPLES = settings(max_examples=100)


def accepted(events: list[TelemetryEvent]) -> list[TelemetryEvent]:
    """Return events as a reader of the topic gets them; raises for one that it would refuse."""
    for event in events:
        assert event.tenant_id == "acme"
        assert record_key(event).startswith(b"acme|")
    return [decode_event(encode(event)) for event in events]


def of_spans(given_spans: list[ResourceSpans], known: Context = KNOWN) -> Normalised:
    return events_of_spans(given_spans, known, Wrappers())


def of_metrics(given_metrics: list[ResourceMetrics]) -> NormalisedMetrics:
    return events_of_metrics(given_metrics, KNOWN, Streams(0))


@EXAMPLES
@given(st.lists(seeded(any_otlp.resource_spans), max_size=2), st.sampled_from([KNOWN, KEEPING]))
def test_no_span_is_lost_and_every_event_is_accepted(found: list[ResourceSpans], known: Context) -> None:
    result = of_spans(found, known)
    assert result.items == sum(len(scope.spans) for each in found for scope in each.scope_spans)
    accepted(result.events)


@EXAMPLES
@given(st.lists(seeded(any_otlp.resource_logs), max_size=2), st.sampled_from([KNOWN, KEEPING]))
def test_no_log_record_is_lost_and_every_event_is_accepted(found: list[ResourceLogs], known: Context) -> None:
    result = events_of_logs(found, known)
    assert result.items == sum(len(scope.log_records) for each in found for scope in each.scope_logs)
    accepted(result.events)


@EXAMPLES
@given(st.lists(seeded(any_otlp.resource_metrics), max_size=2))
def test_no_data_point_is_lost_and_every_event_is_accepted(found: list[ResourceMetrics]) -> None:
    result = of_metrics(found)
    metrics = [metric for each in found for scope in each.scope_metrics for metric in scope.metrics]
    points = [getattr(metric, metric.WhichOneof("data") or "").data_points for metric in metrics]
    assert result.items == sum(map(len, points))
    accepted(result.events)


@EXAMPLES
@given(seeded(any_otlp.resource_spans), st.integers(0, 2**32))
def test_the_order_of_attributes_says_nothing(found: ResourceSpans, seed: int) -> None:
    shuffled = ResourceSpans.FromString(found.SerializeToString())
    lists: list[Any] = [shuffled.resource.attributes]
    lists += [each.attributes for each in shuffled.scope_spans[0].spans]
    for attributes in lists:
        others = list(attributes)
        random.Random(seed).shuffle(others)
        del attributes[:]
        attributes.extend(others)
    assert [encode(event) for event in of_spans([found]).events] == [
        encode(event) for event in of_spans([shuffled]).events
    ]


@EXAMPLES
@given(seeded(any_otlp.resource_spans), seeded(any_otlp.resource_logs), seeded(any_otlp.resource_metrics))
def test_what_is_sent_again_has_the_same_ids(
    spans: ResourceSpans, logs: ResourceLogs, metrics: ResourceMetrics
) -> None:
    def ids() -> list[str]:
        every = (of_spans([spans]), events_of_logs([logs], KNOWN), of_metrics([metrics]))
        return [event.event_id for each in every for event in each.events]

    assert ids() == ids()


PROMPT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
OTHERS = {"gen_ai.usage.output_tokens": "completion_tokens", "gen_ai.usage.cache_read.input_tokens": "cached_tokens"}
REPORTS = st.dictionaries(st.sampled_from([*PROMPT, *OTHERS, "llm.usage.total_tokens"]), st.integers(0, 10**6))


@EXAMPLES
@given(st.lists(st.tuples(REPORTS, st.none() | st.integers(1, 6)), max_size=6))
def test_sums_of_tokens_are_never_larger_than_reported(reported: list[tuple[dict[str, int], int | None]]) -> None:
    spans = [
        span({"gen_ai.request.model": "gpt-4o"} | tokens, number=number, parent=parent)
        for number, (tokens, parent) in enumerate(reported, start=1)
    ]
    events = of_spans([resource_spans(*spans)]).events
    most = sum(max(tokens.get(name, 0) for name in PROMPT) for tokens, _ in reported)
    assert sum(event.data.prompt_tokens or 0 for event in events) <= most
    for name, field in OTHERS.items():
        most = sum(tokens.get(name, 0) for tokens, _ in reported)
        assert sum(getattr(event.data, field) or 0 for event in events) <= most


PARTS = st.sampled_from(["data", "metadata", "source", "parameters"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PARTS, inner),
)


@EXAMPLES
@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_reading_our_own_events_fail(data: bytes) -> None:
    event_of_json(data, KNOWN)


@EXAMPLES
@given(seeded(any_otlp.resource_spans))
def test_our_own_events_go_through_unchanged(found: ResourceSpans) -> None:
    for event in of_spans([found]).events:
        once = event_of_json(encode(event), KNOWN)
        assert isinstance(once, TelemetryEvent)
        assert encode(once) == encode(event)
