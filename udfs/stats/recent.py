"""Recent: how far the metrics of an entity are from what they were of late, in units that all entities share.

Levels are the entity's own and follow the last windows. So is the scatter, but it begins as that of all entities, and
is drawn towards it as long as little is known: deviations mean the same from the first windows on, which is what one
model of all entities takes. Everything is on the logarithmic scale.

State: 3 floats a metric, COUNT, LEVEL and VARIANCE. A window of n calls scatters by VARIANCE / n: it is that of a
single call.
"""

import math

import numpy as np

from udfs.kernels import Floats, kernel
from udfs.stats.scale import LOG, to_scale

RECENT_WIDTH = 3
_COUNT, _LEVEL, _VARIANCE = range(RECENT_WIDTH)

_SMOOTHING = 0.1
"""Least weight of the newest window in a level."""
_LASTING = 200.0
"""Windows that the own scatter rests on, once there were as many."""
_DRAWN = 15.0
"""Windows that the scatter of all entities counts for."""
_FLOOR = 0.02
"""Least deviation that is believed, as a share of the value."""
_REACH = 2.0
"""What is farther out, in standard deviations, is learnt as if it were there."""
_EDGE = 20.0
"""Farther out, in standard deviations, is as far out as one need know."""
_ADOPTED = 5.0
"""What the first window at new levels counts for: the scatter is kept."""


@kernel
def _deviation(state: Floats, j: int, volume: float, common: float) -> float:
    """Return the standard deviation expected of a metric in a window of so many calls."""
    at = j * RECENT_WIDTH
    known = max(state[at + _COUNT] - 1.0, 0.0)
    variance = (_DRAWN * common + known * state[at + _VARIANCE]) / (_DRAWN + known)
    return math.sqrt(variance / max(volume, 1.0) + _FLOOR * _FLOOR)


@kernel
def recent_deviations(state: Floats, x: Floats, volume: float, common: Floats, start: int, z: Floats) -> int:
    """Write how far x is from its levels to z, in standard deviations; return how many metrics there are.

    `common`, from `start` on, are the variances of a single call of all entities. What is missing, and what was never
    seen before, is 0.
    """
    seen = 0
    for j in range(x.shape[0]):
        z[j] = 0.0
        if not np.isnan(x[j]):
            seen += 1
            if state[j * RECENT_WIDTH + _COUNT] > 0.0:
                off = to_scale(x[j], LOG) - state[j * RECENT_WIDTH + _LEVEL]
                z[j] = min(max(off / _deviation(state, j, volume, common[start + j]), -_EDGE), _EDGE)
    return seen


@kernel
def learn_recent(state: Floats, x: Floats, volume: float, common: Floats, start: int) -> None:
    """Take a window into levels and scatter."""
    for j in range(x.shape[0]):
        if np.isnan(x[j]):
            continue
        at, y = j * RECENT_WIDTH, to_scale(x[j], LOG)
        if state[at + _COUNT] == 0.0:
            state[at + _COUNT], state[at + _LEVEL] = 1.0, y
            continue
        reach = _REACH * _deviation(state, j, volume, common[start + j])
        off = min(max(y - state[at + _LEVEL], -reach), reach)
        known = state[at + _COUNT]
        state[at + _VARIANCE] += (off * off * max(volume, 1.0) - state[at + _VARIANCE]) / known
        state[at + _COUNT] = min(known + 1.0, _LASTING)
        state[at + _LEVEL] += max(1.0 / state[at + _COUNT], _SMOOTHING) * off


@kernel
def adopt_recent(state: Floats, x: Floats) -> float:
    """Take x for the new levels and keep the scatter; return how many windows they rest on now."""
    for j in range(x.shape[0]):
        if not np.isnan(x[j]):
            at = j * RECENT_WIDTH
            state[at + _COUNT], state[at + _LEVEL] = max(state[at + _COUNT], 1.0), to_scale(x[j], LOG)
    return _ADOPTED


@kernel
def deviations_in_order(values: Floats, volumes: Floats, common: Floats, found: Floats) -> None:
    """Write the deviations of the windows of one entity, float64[n, metrics], in order of time, to `found`."""
    state = np.zeros(RECENT_WIDTH * values.shape[1])
    for i in range(values.shape[0]):
        recent_deviations(state, values[i], volumes[i], common, 0, found[i])
        learn_recent(state, values[i], volumes[i], common, 0)
