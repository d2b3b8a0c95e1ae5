"""The two detections that every Python peer does: z-score and percentile per entity and metric, of single calls.

They are LLM-Sentinel's detectors `call-zscore` and `call-percentile` as one would write them by hand: logarithms,
deviations upwards only, what is anomalous is not learnt. Plain Python on lists, since a peer hands its state over one
key at a time; the standard library alone, since every peer has an environment of its own.
"""

import os
from math import exp, log1p, pi, sqrt
from typing import Any, NamedTuple

METRICS = ("latency_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "cost")
_PER_UNIT = (1.0, 1.0, 1.0, 1.0, 1e6)
"""Logarithms are of whole milliseconds, tokens and millionths of a dollar."""
WARM_UP_CALLS = 200

_WIDTH = 5
_ZSCORE_LIMIT, _PERCENTILE_LIMIT = 8.0, 3.5
_LEAST_DEVIATION = 0.25
# Half-lives of 2,000 and 5,000 calls.
_MOMENTS_MEMORY, _PERCENTILE_MEMORY = 2_885.0, 7_213.0
_SHARE, _NORMAL = 0.99, 2.326
_FIRST_BAND = 30.0


class Place(NamedTuple):
    """Where a peer reads, writes and keeps its state; told by the environment of its processes."""

    bootstrap_servers: str
    calls: str
    """The topic of telemetry."""
    found: str
    """The topic of results."""
    folder: str
    """For state; the same after a restart."""
    worker: int
    """0 or 1."""


def place() -> Place:
    """Return the place that this process was started for."""
    told = os.environ
    return Place(
        told["PEER_KAFKA"], told["PEER_CALLS"], told["PEER_FOUND"], told["PEER_FOLDER"], int(told["PEER_WORKER"])
    )


def is_call(event: dict[str, Any]) -> bool:
    """Return whether an event reports a call; heartbeats do not."""
    return bool(event["event_type"] == "llm.response")


def entity_of(event: dict[str, Any]) -> str:
    """Return whose baseline a call belongs to: a model as an application of a tenant uses it."""
    data = event["data"]
    return f"{event['tenant_id']}|{event['application_id']}|{data['provider']}|{data['model']}"


def fresh() -> list[float]:
    """Return the state of an entity before its first call: count, mean, variance, median, percentile of each metric."""
    return [0.0] * (_WIDTH * len(METRICS))


def judge(event: dict[str, Any], state: list[float]) -> list[dict[str, Any]]:
    """Return what is anomalous in a call, one result for each metric and detector; the state learns what is not."""
    data = event["data"]
    results = []
    for at, metric in enumerate(METRICS):
        value = data.get(metric)
        if value is None:
            continue
        first = at * _WIDTH
        count, mean, variance, median, high = state[first : first + _WIDTH]
        y = log1p(value * _PER_UNIT[at])
        difference = y - mean
        if count >= WARM_UP_CALLS:
            zscore = difference / sqrt(variance + _LEAST_DEVIATION * _LEAST_DEVIATION)
            distance = (y - median) / max(high - median, _NORMAL * _LEAST_DEVIATION)
            told = []
            if zscore >= _ZSCORE_LIMIT:
                told.append(("zscore", zscore, mean))
            if distance >= _PERCENTILE_LIMIT:
                told.append(("percentile", distance, median))
            if told:
                results += [_result(event, metric, value, *each) for each in told]
                continue
        count += 1.0
        weight = 1.0 / min(count, _MOMENTS_MEMORY)
        mean += weight * difference
        variance += weight * ((1.0 - weight) * difference * difference - variance)
        if count < _FIRST_BAND:
            median, high = mean, mean + _NORMAL * max(sqrt(variance), _LEAST_DEVIATION)
        else:
            # Robbins and Monro 1951: a step up or down, in the proportion that balances at the quantile.
            step = max((high - median) / _NORMAL, _LEAST_DEVIATION) * sqrt(2.0 * pi) / min(count, _PERCENTILE_MEMORY)
            median += step * (0.5 - (y < median))
            high = max(high + step * _OUTER * (_SHARE - (y < high)), median)
        state[first : first + _WIDTH] = (count, mean, variance, median, high)
    return results


_OUTER = exp(0.5 * _NORMAL * _NORMAL)
"""How much longer a step of the percentile is than one of the median: 1 / density of the normal law."""


def _result(
    event: dict[str, Any], metric: str, value: float, detector: str, score: float, expected: float
) -> dict[str, Any]:
    return {
        "event_id": event["event_id"],
        "timestamp": event["timestamp"],
        "entity": entity_of(event),
        "detector": detector,
        "metric": metric,
        "observed": value,
        "expected_log": expected,
        "score": score,
    }
