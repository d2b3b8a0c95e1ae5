"""Floors: what rules of a line or two reach, causal like the detector, which must be clearly above them."""

import numpy as np

from udfs.kernels import Floats, kernel

WINDOW = 3_000
"""Observations that a rolling rule looks back on."""
FROZEN = 150
"""Observations from which the static threshold is set."""
REFRACTORY = 150
"""Rows that the record rule is silent after it has spoken: on NAB this is worth several points."""


def record_rule(values: Floats) -> Floats:
    """Return by which share of its range a value breaks the record of the last WINDOW, and then silence."""
    return _records(_filled(values))


def static_threshold(values: Floats) -> Floats:
    """Return the distance from the median of the first FROZEN values, in their median absolute deviations."""
    filled = _filled(values)
    median = float(np.median(filled[:FROZEN]))
    deviation = float(np.median(np.abs(filled[:FROZEN] - median)))
    score = np.abs(filled - median) / (deviation + 1e-9)
    score[:FROZEN] = 0.0
    return score


def plain_zscore(values: Floats) -> Floats:
    """Return the distance from the mean of the last WINDOW values, in their standard deviations."""
    filled = _filled(values)
    ends = np.arange(len(filled))
    starts = np.maximum(ends - WINDOW, 0)
    shifted = filled - filled[0]
    sums = np.concatenate([[0.0], np.cumsum(shifted)])
    squares = np.concatenate([[0.0], np.cumsum(shifted**2)])
    counts = np.maximum(ends - starts, 1)
    mean = (sums[ends] - sums[starts]) / counts
    deviation = np.sqrt(np.maximum((squares[ends] - squares[starts]) / counts - mean**2, 0.0))
    score = np.abs(shifted - mean) / (deviation + 1e-9)
    score[:10] = 0.0
    return np.minimum(score, 1e6)


def robust_zscore(values: Floats) -> Floats:
    """Return the distance from the median of the last WINDOW values, in their median absolute deviations."""
    return _robust(_filled(values))


FLOORS = {
    "record rule": record_rule,
    "static threshold": static_threshold,
    "plain z-score": plain_zscore,
    "rolling robust z-score": robust_zscore,
}


def _filled(values: Floats) -> Floats:
    """Return the values with the last one in place of a missing one."""
    last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), 0))
    return np.nan_to_num(values[last])


@kernel
def _records(values: Floats) -> Floats:
    score = np.zeros(len(values))
    spoke = -REFRACTORY - 1
    highest, lowest = np.empty(len(values), dtype=np.int64), np.empty(len(values), dtype=np.int64)
    top, top_end, bottom, bottom_end = 0, 0, 0, 0
    for i in range(len(values)):
        x = values[i]
        while top < top_end and highest[top] < i - WINDOW:
            top += 1
        while bottom < bottom_end and lowest[bottom] < i - WINDOW:
            bottom += 1
        if i >= FROZEN and i - spoke > REFRACTORY:
            high, low = values[highest[top]], values[lowest[bottom]]
            excess = max(x - high, low - x)
            if excess > 0.0:
                score[i] = min(excess / max(high - low, 1e-9), 1e6)
                if score[i] >= 0.002:
                    spoke = i
        while top_end > top and values[highest[top_end - 1]] <= x:
            top_end -= 1
        highest[top_end] = i
        top_end += 1
        while bottom_end > bottom and values[lowest[bottom_end - 1]] >= x:
            bottom_end -= 1
        lowest[bottom_end] = i
        bottom_end += 1
    return score


@kernel
def _robust(values: Floats) -> Floats:
    score, ranked, count = np.zeros(len(values)), np.empty(WINDOW + 1), 0
    for i in range(len(values)):
        if count >= 10:
            middle = count // 2
            median = ranked[middle]
            deviation = _nearest(ranked, count, middle, median)
            score[i] = min(abs(values[i] - median) / (deviation + 1e-9), 1e6)
        place = np.searchsorted(ranked[:count], values[i])
        ranked[place + 1 : count + 1] = ranked[place:count].copy()
        ranked[place] = values[i]
        count += 1
        if count > WINDOW:
            place = np.searchsorted(ranked[:count], values[i - WINDOW])
            ranked[place : count - 1] = ranked[place + 1 : count].copy()
            count -= 1
    return score


@kernel
def _nearest(ranked: Floats, count: int, middle: int, median: float) -> float:
    """Return the distance from the median within which half of the ranked values lie."""
    half = count // 2
    low, high = 0, half
    # Of the nearest half, so many lie below the median: the least number for which the next one below is farther.
    while low < high:
        below = (low + high) // 2
        above = half - below
        if (
            middle - 1 - below >= 0
            and median - ranked[middle - 1 - below] < ranked[min(middle + above, count - 1)] - median
        ):
            low = below + 1
        else:
            high = below
    farthest_below = median - ranked[middle - low] if low > 0 else 0.0
    farthest_above = ranked[min(middle + half - low, count - 1)] - median if half > low else 0.0
    return max(farthest_below, farthest_above)
