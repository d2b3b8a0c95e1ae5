"""Aggregates: the one table of what is counted per window, and of the metrics derived from it."""

from typing import Literal, NamedTuple

import numpy as np

from udfs.kernels import Floats, kernel


def _geometric(first_us: int, ratio: float, count: int) -> tuple[int, ...]:
    return tuple(round(first_us * ratio**i) for i in range(count))


LATENCY_BOUNDS_US = _geometric(10_000, 1.45, 31)
"""Upper bounds (exclusive) of the latency buckets in microseconds, 10 ms to about 11 min; one open bucket follows.

A ratio of 1.45 bounds the error of a quantile by 20 %, of one interpolated within its bucket to a few per cent."""
TTFT_BOUNDS_US = _geometric(5_000, 1.8, 19)
"""The same for time to first token, 5 ms to about 3 min."""

AGGREGATES = (
    "calls",
    "errors",
    "latency_count",
    "latency_us_sum",
    "latency_us_max",
    "ttft_count",
    "ttft_us_sum",
    "prompt_tokens_sum",
    "completion_tokens_sum",
    "cost_nano_sum",
    *(f"latency_bucket_{i}" for i in range(len(LATENCY_BOUNDS_US) + 1)),
    *(f"ttft_bucket_{i}" for i in range(len(TTFT_BOUNDS_US) + 1)),
)
"""Whole numbers per window, in the order of every array of them; latencies are of successful calls only."""

_LATENCY_BUCKETS = 10
_TTFT_BUCKETS = _LATENCY_BUCKETS + len(LATENCY_BOUNDS_US) + 1
MAXIMA = (AGGREGATES.index("latency_us_max"),)
"""Columns that are combined by their maximum; all others are added."""


class Metric(NamedTuple):
    """A published metric: its name, its unit, and how it sums a window up."""

    name: str
    unit: str
    aggregation: Literal["avg", "sum", "max", "rate", "p50", "p95", "p99"]


EVENT_METRICS = ("latency_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "cost_usd")
"""Metrics of one call, in the order of the value columns of a batch."""
EVENT_UNITS = {
    "latency_ms": "ms",
    "ttft_ms": "ms",
    "prompt_tokens": "tokens",
    "completion_tokens": "tokens",
    "cost_usd": "USD",
    "error": "1",
    "calls_per_s": "1/s",
}

SUMMARY_METRICS = (
    Metric("calls_per_s", "1/s", "rate"),
    Metric("error_rate", "1", "avg"),
    Metric("latency_ms_mean", "ms", "avg"),
    Metric("latency_ms_p50", "ms", "p50"),
    Metric("latency_ms_p95", "ms", "p95"),
    Metric("latency_ms_p99", "ms", "p99"),
    Metric("ttft_ms_mean", "ms", "avg"),
    Metric("ttft_ms_p95", "ms", "p95"),
    Metric("prompt_tokens_mean", "tokens", "avg"),
    Metric("completion_tokens_mean", "tokens", "avg"),
    Metric("tokens_per_s", "tokens/s", "rate"),
    Metric("cost_usd_mean", "USD", "avg"),
    Metric("cost_usd_per_s", "USD/s", "rate"),
    Metric("latency_ms_per_token", "ms/token", "avg"),
)
"""Metrics of one window, in the order of the columns of `derive`.

`latency_ms_per_token` is the time that calls took after their first token, by the tokens that they were answered with:
long answers do not raise it, so it tells a slow model from a long answer. Where no first token is told of, it is the
whole time."""
SUMMARY_METRIC_NAMES = tuple(metric.name for metric in SUMMARY_METRICS)
CALL_METRICS = (*EVENT_METRICS, "error")
"""What detectors may watch on every call of a model."""
CATEGORIES = ("model", "hour")
"""Metrics that are no quantities but one of several kinds, as `udfs.detectors.habit` tells them apart."""
APPLICATION_METRICS = CATEGORIES
"""What they may watch on every call of an application."""
USER_METRICS = ("calls_per_s", "tokens_per_s", "cost_usd_per_s", "prompt_tokens", "completion_tokens", *CATEGORIES)
"""What they may watch on every call of a user: what it adds to the user's rates, its tokens, model and hour."""
OBSERVED: dict[tuple[str, str], tuple[str, ...]] = {
    ("event", "model"): CALL_METRICS,
    ("event", "user"): USER_METRICS,
    ("event", "application"): APPLICATION_METRICS,
    **{(level, "model"): SUMMARY_METRIC_NAMES for level in ("1s", "10s", "1m")},
    **{(level, kind): SUMMARY_METRIC_NAMES for level in ("10s", "1m") for kind in ("tenant_provider", "provider")},
}
"""What is observed, by `on` and `entity` of a detector."""
COMBINATION = "combination"
"""Stands for the metric where an anomaly is about several together; its `contributors` say which."""
UNITS = (
    EVENT_UNITS
    | {metric.name: metric.unit for metric in SUMMARY_METRICS}
    | dict.fromkeys((COMBINATION, *CATEGORIES), "1")
)


def derive(aggregates: Floats, window_ms: int) -> Floats:
    """Return the metrics of windows: float64[n, len(SUMMARY_METRICS)], NaN where there is no evidence.

    `aggregates` is float64[n, len(AGGREGATES)] of windows of one length.
    """
    column = dict(zip(AGGREGATES, aggregates.T, strict=True))
    seconds = window_ms / 1000.0
    latency = aggregates[:, _LATENCY_BUCKETS:_TTFT_BUCKETS]
    ttft = aggregates[:, _TTFT_BUCKETS:]
    largest = column["latency_us_max"]
    return np.column_stack(
        [
            column["calls"] / seconds,
            _ratio(column["errors"], column["calls"]),
            _ratio(column["latency_us_sum"], column["latency_count"]) / 1e3,
            quantile(latency, LATENCY_BOUNDS_US, 0.50, largest) / 1e3,
            quantile(latency, LATENCY_BOUNDS_US, 0.95, largest) / 1e3,
            quantile(latency, LATENCY_BOUNDS_US, 0.99, largest) / 1e3,
            _ratio(column["ttft_us_sum"], column["ttft_count"]) / 1e3,
            quantile(ttft, TTFT_BOUNDS_US, 0.95, largest) / 1e3,
            _ratio(column["prompt_tokens_sum"], column["calls"]),
            _ratio(column["completion_tokens_sum"], column["calls"]),
            (column["prompt_tokens_sum"] + column["completion_tokens_sum"]) / seconds,
            _ratio(column["cost_nano_sum"], column["calls"]) / 1e9,
            column["cost_nano_sum"] / 1e9 / seconds,
            _ratio(column["latency_us_sum"] - column["ttft_us_sum"], column["completion_tokens_sum"]) / 1e3,
        ]
    )


def quantile(buckets: Floats, bounds: tuple[int, ...], share: float, largest: Floats) -> Floats:
    """Return the quantile of bucket counts float64[n, len(bounds) + 1], interpolated by logarithm within a bucket.

    Never above `largest` where that is positive; NaN for rows without counts.
    """
    found = np.empty(buckets.shape[0])
    edges = np.array([bounds[0] / 2, *bounds, bounds[-1] * 2], dtype=np.float64)
    _quantiles(buckets, edges, share, largest, found)
    return found


@kernel
def _quantiles(buckets: Floats, edges: Floats, share: float, largest: Floats, found: Floats) -> None:
    for i in range(buckets.shape[0]):
        total = buckets[i].sum()
        if total <= 0.0:
            found[i] = np.nan
            continue
        # The rank that a sample quantile falls on; at least the first value.
        rank = max(share * total, 0.5)
        index, below = 0, 0.0
        while below + buckets[i, index] < rank and index < buckets.shape[1] - 1:
            below += buckets[i, index]
            index += 1
        part = (rank - below) / buckets[i, index]
        value = edges[index] * (edges[index + 1] / edges[index]) ** part
        found[i] = min(value, largest[i]) if largest[i] > 0.0 else value


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
