"""Cumulative metrics as what was counted since, with resets and requests that are sent again."""

from typing import Any

from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from tests.normalising import context
from tests.otlp import END_NS, key_values
from udfs.normalise.metrics import NormalisedMetrics, events_of_metrics
from udfs.normalise.streams import Streams

SECOND_NS = 1_000_000_000
START_NS = END_NS - 100 * SECOND_NS
BEGAN_AT_MS = START_NS // 1_000_000 - 1
CUMULATIVE, DELTA = otlp.AGGREGATION_TEMPORALITY_CUMULATIVE, otlp.AGGREGATION_TEMPORALITY_DELTA


def counter(
    value: int,
    at_s: int,
    *,
    start_ns: int = START_NS,
    temporality: Any = CUMULATIVE,
    labels: dict[str, Any] | None = None,
) -> otlp.ResourceMetrics:
    """Return a request with one point of a counter, `at_s` seconds after the streams began."""
    found = otlp.ResourceMetrics()
    metric = found.scope_metrics.add().metrics.add(name="gen_ai.client.inference.tokens", unit="{token}")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = temporality, True
    metric.sum.data_points.add(
        as_int=value,
        start_time_unix_nano=start_ns,
        time_unix_nano=START_NS + at_s * SECOND_NS,
        attributes=key_values(labels or {}),
    )
    return found


def read(streams: Streams, *requests: otlp.ResourceMetrics, keep: bool = True) -> NormalisedMetrics:
    """Return what comes of a request, kept as if its events were safe."""
    found = events_of_metrics(requests, context(), streams)
    if keep:
        streams.keep(found.advanced)
    return found


def values(found: NormalisedMetrics) -> list[Any]:
    return [event.data.value for event in found.events]


def test_a_stream_that_started_after_we_began_is_new_from_its_first_point() -> None:
    streams = Streams(BEGAN_AT_MS)
    assert values(read(streams, counter(100, 1))) == [100]
    assert values(read(streams, counter(130, 2))) == [30]


def test_the_first_point_of_an_older_stream_only_says_where_to_count_from() -> None:
    streams = Streams(BEGAN_AT_MS + 50_000)
    found = read(streams, counter(1_000_000, 60))
    assert (values(found), found.ignored, found.items) == ([], {"first_of_stream": 1}, 1)
    assert values(read(streams, counter(1_000_007, 61))) == [7]


def test_a_smaller_count_or_a_later_start_is_a_reset() -> None:
    streams = Streams(BEGAN_AT_MS)
    read(streams, counter(100, 1))
    assert values(read(streams, counter(40, 2))) == [40]
    assert values(read(streams, counter(60, 3, start_ns=START_NS + SECOND_NS))) == [60]


def test_a_request_that_was_refused_and_comes_again_gives_the_same_events() -> None:
    streams = Streams(BEGAN_AT_MS)
    read(streams, counter(100, 1))
    first = read(streams, counter(150, 2), keep=False)
    again = read(streams, counter(150, 2))
    assert first.events == again.events
    assert values(again) == [50]
    told_before = read(streams, counter(150, 2))
    assert (told_before.events, told_before.ignored) == ([], {"nothing_new": 1})


def test_two_points_of_one_stream_in_one_request_follow_each_other() -> None:
    streams = Streams(BEGAN_AT_MS)
    assert values(read(streams, counter(10, 1), counter(25, 2))) == [10, 15]


def test_streams_are_told_apart_by_labels_in_any_order() -> None:
    streams = Streams(BEGAN_AT_MS)
    one, other = {"a": "1", "b": "2"}, {"a": "2", "b": "2"}
    assert values(read(streams, counter(10, 1, labels=one), counter(50, 1, labels=other))) == [10, 50]
    assert values(read(streams, counter(12, 2, labels={"b": "2", "a": "1"}))) == [2]


def test_deltas_stand_for_themselves() -> None:
    streams = Streams(BEGAN_AT_MS)
    found = read(streams, counter(10, 1, temporality=DELTA), counter(10, 2, temporality=DELTA))
    assert values(found) == [10, 10]
    assert len({event.event_id for event in found.events}) == 2
    assert not found.advanced


def test_streams_are_bounded_and_forget_the_quietest() -> None:
    streams = Streams(BEGAN_AT_MS, remembered=2)
    for label in ("a", "b", "c"):
        read(streams, counter(10, 1, labels={"l": label}))
    assert values(read(streams, counter(12, 2, labels={"l": "c"}))) == [2]
    forgotten = read(streams, counter(12, 2, labels={"l": "a"}))
    assert values(forgotten) == [12]


def histogram(counts: list[int], total: float, at_s: int, bounds: list[float]) -> otlp.ResourceMetrics:
    """Return a request with one point of a cumulative histogram of seconds."""
    found = otlp.ResourceMetrics()
    metric = found.scope_metrics.add().metrics.add(name="gen_ai.client.operation.duration", unit="s")
    metric.histogram.aggregation_temporality = CUMULATIVE
    metric.histogram.data_points.add(
        count=sum(counts),
        sum=total,
        bucket_counts=counts,
        explicit_bounds=bounds,
        start_time_unix_nano=START_NS,
        time_unix_nano=START_NS + at_s * SECOND_NS,
    )
    return found


def test_a_histogram_says_what_was_observed_since_in_milliseconds() -> None:
    streams = Streams(BEGAN_AT_MS)
    read(streams, histogram([1, 1], 1.5, 1, [1.0]))
    (event,) = read(streams, histogram([2, 4], 9.5, 2, [1.0])).events
    assert event.data.value == 2_000
    assert event.data.unit == "ms"
    assert event.data.context == {"count": 4, "sum": 8_000, "bounds": [1_000], "bucket_counts": [1, 3]}
    assert read(streams, histogram([2, 4], 9.5, 3, [1.0])).ignored == {"nothing_new": 1}


def test_buckets_of_other_bounds_are_left_out_and_the_count_is_not() -> None:
    streams = Streams(BEGAN_AT_MS)
    read(streams, histogram([1, 1], 1.5, 1, [1.0]))
    (event,) = read(streams, histogram([2, 1, 1], 3.5, 2, [1.0, 2.0])).events
    assert event.data.context == {"count": 2, "sum": 2_000}


def test_a_gauge_that_is_not_finite_is_flagged_and_one_without_a_time_is_rejected() -> None:
    found = otlp.ResourceMetrics()
    metric = found.scope_metrics.add().metrics.add(name="vllm:num_requests_waiting")
    metric.gauge.data_points.add(as_double=float("nan"), time_unix_nano=END_NS)
    metric.gauge.data_points.add(as_double=1.0)
    metric.gauge.data_points.add(time_unix_nano=END_NS, flags=otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)
    result = read(Streams(BEGAN_AT_MS), found)
    (event,) = result.events
    assert event.data.value is None
    assert event.metadata is not None
    assert event.metadata.attributes == {"sentinel.out_of_range": {"value": "nan"}}
    (rejection,) = result.rejected
    assert (rejection.index, rejection.pointer) == (1, "/timeUnixNano")
    assert result.ignored == {"no_recorded_value": 1}
