"""Windows: counts, integer sums and quantile buckets of each key over 1 s, 10 s and 1 min of event time.

One row of a float64 array per key holds the open windows: a ring of 1 s panes, one 10 s and one 1 min window, which
closed panes are added to. All sums are over whole numbers below 2**53, so they are exact and their order is invisible.
A window closes when its partition's watermark has reached its end; no event before a closed end is accepted after
that, so a key's closed windows are the same however the records were cut into batches.
"""

import numpy as np
from numpy.typing import NDArray

from udfs.aggregates import AGGREGATES, LATENCY_BOUNDS_US, TTFT_BOUNDS_US
from udfs.kernels import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEVELS_MS = (1_000, 10_000, 60_000)
"""Lengths of the windows, each a multiple of the one before."""
LEVEL_NAMES = ("1s", "10s", "1m")

_WIDTH = len(AGGREGATES)
_SLOT = 1 + _WIDTH
_CALLS, _ERRORS, _LATENCY_COUNT, _LATENCY_SUM, _LATENCY_MAX, _TTFT_COUNT, _TTFT_SUM = range(7)
_PROMPT_TOKENS, _COMPLETION_TOKENS, _COST = 7, 8, 9
_LATENCY_BUCKETS = 10
_TTFT_BUCKETS = _LATENCY_BUCKETS + len(LATENCY_BOUNDS_US) + 1
_LATENCY_BOUNDS = np.array(LATENCY_BOUNDS_US, dtype=np.int64)
_TTFT_BOUNDS = np.array(TTFT_BOUNDS_US, dtype=np.int64)
_PANE_MS, _TEN_MS, _MINUTE_MS = LEVELS_MS

CLOSED_WIDTH = 3 + _WIDTH
"""Columns of a closed window: row of the key, level (index into LEVELS_MS), end in ms, then the aggregates."""


def panes_for(bound_ms: int) -> int:
    """Return how many 1 s panes of one key can be open at once when events come at most `bound_ms` out of order."""
    return -(-bound_ms // _PANE_MS) + 1


def windows_width(panes: int) -> int:
    """Return the floats that the open windows of one key take."""
    return (panes + 2) * _SLOT


@kernel
def _emit(closed: Floats, count: int, row: int, level: int, end: int, slot: Floats) -> int:
    closed[count, 0] = row
    closed[count, 1] = level
    closed[count, 2] = end
    closed[count, 3:] = slot[1:]
    return count + 1


@kernel
def _merge(into: Floats, start: int, slot: Floats) -> None:
    into[0] = start
    for column in range(1, slot.shape[0]):
        if column == 1 + _LATENCY_MAX:
            into[column] = max(into[column], slot[column])
        else:
            into[column] += slot[column]


@kernel
def _close_minute(state: Floats, panes: int, row: int, closed: Floats, count: int) -> int:
    slot = state[(panes + 1) * _SLOT : (panes + 2) * _SLOT]
    count = _emit(closed, count, row, 2, int(slot[0]) + _MINUTE_MS, slot)
    slot[:] = 0.0
    return count


@kernel
def _close_ten(state: Floats, panes: int, row: int, closed: Floats, count: int) -> int:
    slot = state[panes * _SLOT : (panes + 1) * _SLOT]
    minute = state[(panes + 1) * _SLOT : (panes + 2) * _SLOT]
    start = int(slot[0]) // _MINUTE_MS * _MINUTE_MS
    if minute[0] != 0.0 and minute[0] != start:
        count = _close_minute(state, panes, row, closed, count)
    count = _emit(closed, count, row, 1, int(slot[0]) + _TEN_MS, slot)
    _merge(minute, start, slot)
    slot[:] = 0.0
    return count


@kernel
def _close_oldest_pane(
    state: Floats, panes: int, row: int, before: int, volume_min: float, closed: Floats, count: int
) -> int:
    """Close the oldest open pane that starts before `before`; return -1 if there is none, else the new count."""
    oldest = -1
    for pane in range(panes):
        start = state[pane * _SLOT]
        if start != 0.0 and start < before and (oldest < 0 or start < state[oldest * _SLOT]):
            oldest = pane
    if oldest < 0:
        return -1
    slot = state[oldest * _SLOT : (oldest + 1) * _SLOT]
    ten = state[panes * _SLOT : (panes + 1) * _SLOT]
    start = int(slot[0]) // _TEN_MS * _TEN_MS
    if ten[0] != 0.0 and ten[0] != start:
        count = _close_ten(state, panes, row, closed, count)
    if slot[1 + _CALLS] >= volume_min:
        count = _emit(closed, count, row, 0, int(slot[0]) + _PANE_MS, slot)
    _merge(ten, start, slot)
    slot[:] = 0.0
    return count


@kernel
def _bucket(bounds: Integers, value: int) -> int:
    low, high = 0, bounds.shape[0]
    while low < high:
        middle = (low + high) // 2
        if value < bounds[middle]:
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def _count(slot: Floats, values: Floats, error: float) -> None:
    """Add one call to a pane. `values` are latency_ms, ttft_ms, prompt_tokens, completion_tokens, cost_usd."""
    slot[1 + _CALLS] += 1.0
    slot[1 + _ERRORS] += error
    if error == 0.0 and not np.isnan(values[0]):
        latency_us = int(values[0] * 1e3)
        slot[1 + _LATENCY_COUNT] += 1.0
        slot[1 + _LATENCY_SUM] += latency_us
        slot[1 + _LATENCY_MAX] = max(slot[1 + _LATENCY_MAX], float(latency_us))
        slot[1 + _LATENCY_BUCKETS + _bucket(_LATENCY_BOUNDS, latency_us)] += 1.0
    if error == 0.0 and not np.isnan(values[1]):
        ttft_us = int(values[1] * 1e3)
        slot[1 + _TTFT_COUNT] += 1.0
        slot[1 + _TTFT_SUM] += ttft_us
        slot[1 + _TTFT_BUCKETS + _bucket(_TTFT_BOUNDS, ttft_us)] += 1.0
    if not np.isnan(values[2]):
        slot[1 + _PROMPT_TOKENS] += np.floor(values[2])
    if not np.isnan(values[3]):
        slot[1 + _COMPLETION_TOKENS] += np.floor(values[3])
    if not np.isnan(values[4]):
        slot[1 + _COST] += np.floor(values[4] * 1e9)


@kernel
def add_calls(
    states: Floats,
    panes: int,
    rows: Integers,
    at_ms: Integers,
    values: Floats,
    error: Floats,
    volume_min: float,
    closed: Floats,
) -> int:
    """Add calls to the open windows of their keys, in order; return how many windows had to close for that.

    `states` is float64[keys, windows_width(panes)], `values` float64[n, 5], the others [n]; closed windows are written
    to the first rows of `closed`. None of the calls may be late.
    """
    count = 0
    for i in range(rows.shape[0]):
        row = rows[i]
        state = states[row]
        start = at_ms[i] // _PANE_MS * _PANE_MS
        while True:
            done = _close_oldest_pane(state, panes, row, start - (panes - 1) * _PANE_MS, volume_min, closed, count)
            if done < 0:
                break
            count = done
        slot = state[(start // _PANE_MS % panes) * _SLOT : (start // _PANE_MS % panes + 1) * _SLOT]
        slot[0] = start
        _count(slot, values[i], error[i])
    return count


@kernel
def close_windows(states: Floats, panes: int, keys: int, watermark_ms: int, volume_min: float, closed: Floats) -> int:
    """Close every window that ends at or before the watermark; return how many were written to `closed`."""
    count = 0
    for row in range(keys):
        state = states[row]
        while True:
            done = _close_oldest_pane(state, panes, row, watermark_ms - _PANE_MS + 1, volume_min, closed, count)
            if done < 0:
                break
            count = done
        ten = state[panes * _SLOT]
        if ten != 0.0 and ten + _TEN_MS <= watermark_ms:
            count = _close_ten(state, panes, row, closed, count)
        minute = state[(panes + 1) * _SLOT]
        if minute != 0.0 and minute + _MINUTE_MS <= watermark_ms:
            count = _close_minute(state, panes, row, closed, count)
    return count
