"""Windows: counts, integer sums and quantile buckets of each key over 1 s, 10 s and 1 min of event time.

One row of a float64 array per key holds the open windows: when its oldest open pane starts, one 10 s and one 1 min
window, which closed panes are added to, and a ring of 1 s panes. A key that has nothing to close is left after a look
at the first few of these. All sums are over whole numbers below 2**53, so they are exact and their order is invisible.
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
"""A window: its start in ms, 0 while it is empty, then the aggregates."""
_OLDEST = 0
"""When the oldest open pane starts; 0 if none is open."""
_TEN = 1
_MINUTE = _TEN + _SLOT
_PANES = _MINUTE + _SLOT
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
    return _PANES + panes * _SLOT


@kernel
def _emit(closed: Floats, count: int, row: int, level: int, end: int, slot: Floats) -> int:
    closed[count, 0] = row
    closed[count, 1] = level
    closed[count, 2] = end
    closed[count, 3:] = slot[1:]
    return count + 1


@kernel
def _move(slot: Floats, into: Floats, start: int) -> None:
    """Add a window to the longer one that starts at `start`, and empty it."""
    into[0] = start
    slot[0] = 0.0
    for column in range(1, slot.shape[0]):
        # Most are 0 in a window of few calls; what is not written stays clean in the cache.
        if slot[column] != 0.0:
            if column == 1 + _LATENCY_MAX:
                into[column] = max(into[column], slot[column])
            else:
                into[column] += slot[column]
            slot[column] = 0.0


@kernel
def _pane(state: Floats, panes: int, start: int) -> Floats:
    """Return the pane of the ring in which the second from `start` on has its place."""
    place = _PANES + start // _PANE_MS % panes * _SLOT
    return state[place : place + _SLOT]


@kernel
def _close_minute(state: Floats, row: int, closed: Floats, count: int) -> int:
    slot = state[_MINUTE : _MINUTE + _SLOT]
    count = _emit(closed, count, row, 2, int(slot[0]) + _MINUTE_MS, slot)
    slot[:] = 0.0
    return count


@kernel
def _close_ten(state: Floats, row: int, closed: Floats, count: int) -> int:
    slot = state[_TEN : _TEN + _SLOT]
    minute = state[_MINUTE : _MINUTE + _SLOT]
    start = int(slot[0]) // _MINUTE_MS * _MINUTE_MS
    if minute[0] != 0.0 and minute[0] != start:
        count = _close_minute(state, row, closed, count)
    count = _emit(closed, count, row, 1, int(slot[0]) + _TEN_MS, slot)
    _move(slot, minute, start)
    return count


@kernel
def _close_panes(
    state: Floats, panes: int, row: int, before: int, volume_min: float, closed: Floats, count: int
) -> int:
    """Close the open panes that start before `before`, the oldest first; return the new count."""
    oldest = int(state[_OLDEST])
    while oldest != 0 and oldest < before:
        slot = _pane(state, panes, oldest)
        ten = state[_TEN : _TEN + _SLOT]
        ten_start = oldest // _TEN_MS * _TEN_MS
        if ten[0] != 0.0 and ten[0] != ten_start:
            count = _close_ten(state, row, closed, count)
        if slot[1 + _CALLS] >= volume_min:
            count = _emit(closed, count, row, 0, oldest + _PANE_MS, slot)
        _move(slot, ten, ten_start)
        oldest = _next_open(state, panes, oldest)
        state[_OLDEST] = oldest
    return count


@kernel
def _next_open(state: Floats, panes: int, start: int) -> int:
    """Return when the next open pane starts, 0 if none is: all lie within one turn of the ring."""
    for seconds in range(1, panes):
        following = start + seconds * _PANE_MS
        if _pane(state, panes, following)[0] == following:
            return following
    return 0


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
        count = _close_panes(state, panes, row, start - (panes - 1) * _PANE_MS, volume_min, closed, count)
        slot = _pane(state, panes, start)
        slot[0] = start
        if state[_OLDEST] == 0.0 or start < state[_OLDEST]:
            state[_OLDEST] = start
        _count(slot, values[i], error[i])
    return count


@kernel
def close_windows(states: Floats, panes: int, keys: int, watermark_ms: int, volume_min: float, closed: Floats) -> int:
    """Close every window that ends at or before the watermark; return how many were written to `closed`."""
    count = 0
    for row in range(keys):
        state = states[row]
        count = _close_panes(state, panes, row, watermark_ms - _PANE_MS + 1, volume_min, closed, count)
        ten = state[_TEN]
        if ten != 0.0 and ten + _TEN_MS <= watermark_ms:
            count = _close_ten(state, row, closed, count)
        minute = state[_MINUTE]
        if minute != 0.0 and minute + _MINUTE_MS <= watermark_ms:
            count = _close_minute(state, row, closed, count)
    return count
