"""Points of metrics: numbers, histograms and summaries in one form."""

from typing import Final

from msgspec import Struct
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

BUCKETS_MAX: Final = 1_024
"""Of a histogram with more of them only count and sum are taken."""


class Distribution(Struct, frozen=True, gc=False):
    """How many observations, their sum, and how many of them were up to each bound; the last bucket has none."""

    count: int
    total: float | None
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    low: float | None = None
    high: float | None = None


def number_of(point: NumberDataPoint) -> float | None:
    """Return the value of a point."""
    kind = point.WhichOneof("value")
    return None if kind is None else getattr(point, kind)


def of_histogram(point: HistogramDataPoint) -> Distribution:
    """Return a histogram of explicit bounds."""
    bounds, buckets = tuple(point.explicit_bounds), tuple(point.bucket_counts)
    has_buckets = len(buckets) == len(bounds) + 1 <= BUCKETS_MAX
    return Distribution(
        count=point.count,
        total=point.sum if point.HasField("sum") else None,
        bounds=bounds if has_buckets else (),
        buckets=buckets if has_buckets else (),
        low=point.min if point.HasField("min") else None,
        high=point.max if point.HasField("max") else None,
    )


def of_exponential(point: ExponentialHistogramDataPoint) -> Distribution:
    """Return an exponential histogram with the bounds written out; what is negative counts as zero."""
    counts = list(point.positive.bucket_counts)
    buckets = (point.zero_count + sum(point.negative.bucket_counts), *counts, 0)
    bounds: tuple[float, ...] = ()
    if len(buckets) <= BUCKETS_MAX:
        try:
            base = 2.0 ** (2.0**-point.scale)
            first = point.positive.offset
            bounds = tuple(base ** (first + number) for number in range(len(counts) + 1))
        except OverflowError:
            bounds = ()
    return Distribution(
        count=point.count,
        total=point.sum if point.HasField("sum") else None,
        bounds=bounds,
        buckets=buckets if bounds else (),
        low=point.min if point.HasField("min") else None,
        high=point.max if point.HasField("max") else None,
    )


def of_summary(point: SummaryDataPoint) -> Distribution:
    """Return the count and sum of a summary; its quantiles are over a time that it does not say."""
    return Distribution(count=point.count, total=point.sum, bounds=(), buckets=())
