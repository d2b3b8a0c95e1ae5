"""Which parts of the traffic moved a window that many applications and models share.

A shard knows what each model of each application was expected to do, so it names those that are far from it, with their
excess: how much they add to the sum that the window's metric is made of, beyond what was expected. Excesses of all
shards add up (Bhagwan et al. 2014, Adtributor: revenue debugging in advertising systems, explains sums in this way).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct

from schemas.anomaly import Moved
from udfs.aggregates import AGGREGATES, SUMMARY_METRIC_NAMES
from udfs.entity import SEPARATOR
from udfs.kernels import Floats

PARTS_MAX = 32
"""Parts of a window that a shard names, and that are kept of all shards: the farthest from what was expected."""
_NAMED_MAX = 3
_LEAST_SHARE = 0.05

_WEIGHTS = {
    "error_rate": "calls",
    "latency_ms_mean": "latency_count",
    "ttft_ms_mean": "ttft_count",
    "prompt_tokens_mean": "calls",
    "completion_tokens_mean": "calls",
    "cost_usd_mean": "calls",
    "latency_ms_per_token": "completion_tokens_sum",
}
"""Metrics that are a sum divided by a count, and that count. Rates are sums as they are."""
_SUMS = ("calls_per_s", "tokens_per_s", "cost_usd_per_s")


class Part(Struct, frozen=True, array_like=True):
    """What one model of one application did beyond what was expected, in the metric's unit times its calls."""

    metric: str
    tenant: str
    application: str
    model: str
    excess: float


def far_parts(
    keys: Sequence[str], aggregates: Floats, metrics: Floats, expected: Mapping[str, Floats]
) -> dict[int, list[Part]]:
    """Return, by place, the parts that lie beyond the middle between what was expected and the end of its range.

    `keys` are those of models; `aggregates` and `metrics` are of their windows, a row each; `expected` is float64[n, 3]
    by metric: value, low and high, NaN while it is not known. Traffic in its usual range costs nothing to describe.
    """
    found: dict[int, list[Part]] = {}
    for metric, bands in expected.items():
        if metric not in _WEIGHTS and metric not in _SUMS:
            continue
        value = metrics[:, SUMMARY_METRIC_NAMES.index(metric)]
        middle, low, high = bands.T
        deviation = value - middle
        far = np.where(deviation > 0.0, 2.0 * deviation > high - middle, -2.0 * deviation > middle - low)
        weights = aggregates[:, AGGREGATES.index(_WEIGHTS[metric])] if metric in _WEIGHTS else np.ones(len(keys))
        # Nothing that is not known compares as true, but for the side it is on.
        for i in np.flatnonzero(far & np.isfinite(deviation)).tolist():
            _, model, tenant, application = keys[i].split(SEPARATOR)
            part = Part(metric, tenant, application, model, float(deviation[i] * weights[i]))
            found.setdefault(i, []).append(part)
    return found


def added(parts: Iterable[Part]) -> list[Part]:
    """Return the sums of parts of the same name, the largest of each metric, in an order of their own."""
    sums: dict[tuple[str, str, str, str], float] = {}
    for part in parts:
        key = (part.metric, part.tenant, part.application, part.model)
        sums[key] = sums.get(key, 0.0) + part.excess
    largest = sorted(sums.items(), key=lambda each: (-abs(each[1]), each[0]))
    by_metric: dict[str, list[Part]] = {}
    for key, excess in largest:
        kept = by_metric.setdefault(key[0], [])
        if len(kept) < PARTS_MAX:
            kept.append(Part(*key, excess))
    return [part for metric in sorted(by_metric) for part in by_metric[metric]]


def moved_by(parts: Iterable[Part], metric: str, side: int, *, names_tenants: bool) -> tuple[Moved, ...]:
    """Return which tenants, applications and models moved a metric to a side (1 up, -1 down), strongest first.

    Shares are of what all parts on that side did; at most three of each dimension are named, those of 5 % at least.
    Quantiles follow the mean that they belong to. Only operators may be told of tenants.
    """
    of = metric if metric in _WEIGHTS or metric in _SUMS else f"{metric.rpartition('_')[0]}_mean"
    same = [part for part in added(parts) if part.metric == of and part.excess * side > 0.0]
    dimensions = ("tenant", "application", "model") if names_tenants else ("application", "model")
    return tuple(moved for dimension in dimensions for moved in _shares(same, dimension))


def _shares(parts: Sequence[Part], dimension: str) -> Iterator[Moved]:
    sums: dict[str, float] = {}
    for part in parts:
        value = getattr(part, dimension)
        sums[value] = sums.get(value, 0.0) + abs(part.excess)
    total = sum(sums.values())
    strongest = sorted(sums.items(), key=lambda each: (-each[1], each[0]))[:_NAMED_MAX]
    for value, excess in strongest:
        if excess >= _LEAST_SHARE * total:
            yield Moved(dimension=dimension, value=value, share=round(min(excess / total, 1.0), 4))
