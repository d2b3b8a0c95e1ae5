"""Moments: mean and variance of the recent past, robust to outliers, aware of how many calls a value sums up.

State: COUNT, MEAN, VARIANCE and VOLUME. The first observations weigh 1/n each, so that they are plain averages; later
ones a constant (Finch 2009, Incremental calculation of weighted mean and variance). What is farther than three
deviations out is learnt as if it were there (Huber 1964, Robust estimation of a location parameter).

A value that sums up n calls scatters by tau**2 + sigma**2 / n. Only the case of fewer calls than usual is dangerous,
and there the whole variance is taken to be sigma**2 / n: VARIANCE is that at the usual VOLUME, and grows for smaller
ones.
"""

import math

from udfs.kernels import Floats, kernel

MOMENTS_WIDTH = 4
COUNT, MEAN, VARIANCE, VOLUME = range(MOMENTS_WIDTH)

HUBER_REACH = 3.0

ADOPTED_SAMPLES = 5.0
"""What the first observation at a new level counts for: it settles within tens of observations, the scatter is kept."""


@kernel
def excess_of(state: Floats, volume: float) -> float:
    """Return by how much the variance of a value of `volume` calls exceeds that at the usual volume, >= 1."""
    return max(state[VOLUME] / max(volume, 1.0), 1.0)


@kernel
def spread_of(state: Floats, volume: float, floor: float) -> float:
    """Return the standard deviation expected of the next value, the mean's own uncertainty included; > 0."""
    variance = state[VARIANCE] * excess_of(state, volume) * (1.0 + 1.0 / max(state[COUNT], 1.0))
    return math.sqrt(variance + floor * floor)


@kernel
def learn_moments(state: Floats, y: float, volume: float, floor: float, newest: float) -> None:
    """Take a value into the moments; `newest` in (0, 1] is its weight once the past is long."""
    if state[COUNT] == 0.0:
        state[COUNT] = 1.0
        state[MEAN] = y
        state[VOLUME] = volume
        return
    difference = y - state[MEAN]
    state[COUNT] = min(state[COUNT] + 1.0, 1.0 / newest)
    weight = 1.0 / state[COUNT]
    if state[COUNT] > 8.0:  # noqa: PLR2004 - before that there is no scatter to go by
        reach = HUBER_REACH * spread_of(state, volume, floor)
        difference = min(max(difference, -reach), reach)
    # Values of few calls say less about the mean, and more about chance.
    excess = excess_of(state, volume)
    step = weight / excess
    state[MEAN] += step * difference
    state[VARIANCE] += weight * ((1.0 - weight) * difference * difference / excess - state[VARIANCE])
    state[VOLUME] += weight * (volume - state[VOLUME])


@kernel
def adopt_level(state: Floats, y: float) -> float:
    """Move the mean to a new level and keep the scatter; return how many samples the mean rests on now."""
    state[MEAN] = y
    state[COUNT] = min(state[COUNT], ADOPTED_SAMPLES)
    return state[COUNT]
