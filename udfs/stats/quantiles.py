"""Quantiles: median, scatter and outer quantiles of the recent past, by stochastic approximation.

Each value moves a quantile by a fixed step, up or down, in the proportion that balances at the quantile (Robbins and
Monro 1951, A stochastic approximation method; Tierney 1983, A space-efficient recursive procedure for estimating a
quantile). The step is that of least variance for a normal law of the scatter seen, divided by the count of values, and
later constant, so that the past is forgotten. One value moves an estimate by one step however far out it is.
"""

import math

from udfs.kernels import Floats, kernel

MAD_WIDTH = 4
COUNT, MEDIAN, MAD, VOLUME = range(MAD_WIDTH)

BAND_WIDTH = 5
LOW, HIGH, BAND_VOLUME = 2, 3, 4

NORMAL_PER_MAD = 1.4826
# Steps of least variance, 1 / density, of a normal law: of its median, and of the median of its absolute values; in
# MADs.
_MEDIAN_STEP = 2.5066 * NORMAL_PER_MAD
_MAD_STEP = 0.7867 * 2.0 * NORMAL_PER_MAD

FIRST_MEANS = 16.0
"""Values that are averaged before steps begin: steps need a scatter to go by."""
FIRST_BAND = 30.0


@kernel
def learn_median(state: Floats, y: float, volume: float, excess: float, floor: float, newest: float) -> None:
    """Take a value into COUNT, MEDIAN, MAD and VOLUME. `excess` is by how much its variance exceeds the usual one."""
    count = state[COUNT] = min(state[COUNT] + 1.0, 1.0 / newest)
    weight = 1.0 / count
    state[VOLUME] += weight * (volume - state[VOLUME])
    difference = y - state[MEDIAN]
    size = abs(difference) / math.sqrt(excess)
    if count == 1.0:
        state[MEDIAN] = y
    elif count <= FIRST_MEANS:
        state[MEDIAN] += weight * difference
        # The median of absolute normal values is 0.8453 of their mean.
        state[MAD] += weight * (0.8453 * size - state[MAD])
    else:
        scatter = max(state[MAD], floor / NORMAL_PER_MAD)
        # Half the step for the median, since it is -1 or +1 and not 0 or 1 that it is multiplied with.
        state[MEDIAN] += 0.5 * weight * _MEDIAN_STEP * scatter * math.copysign(1.0, difference) / excess
        state[MAD] = max(state[MAD] + 0.5 * weight * _MAD_STEP * scatter * math.copysign(1.0, size - scatter), 0.0)


@kernel
def learn_band(state: Floats, y: float, share: float, normal: float, floor: float, newest: float) -> None:
    """Take a value into COUNT, MEDIAN, LOW and HIGH: the median and the quantiles 1 - share and share.

    `normal` is the quantile `share` of the standard normal law.
    """
    count = state[COUNT] = min(state[COUNT] + 1.0, 1.0 / newest)
    weight = 1.0 / count
    if count < FIRST_BAND:
        # Until then LOW holds the sum of squares, of which the first band is made.
        difference = y - state[MEDIAN]
        state[MEDIAN] += weight * difference
        state[LOW] += difference * (y - state[MEDIAN])
        if count == FIRST_BAND - 1.0:
            half = normal * max(math.sqrt(state[LOW] / count), floor)
            state[LOW], state[HIGH] = state[MEDIAN] - half, state[MEDIAN] + half
        return
    deviation = max((state[HIGH] - state[LOW]) / (2.0 * normal), floor)
    # 1 / density of the normal law at its median and at the outer quantiles.
    middle_step = weight * deviation * math.sqrt(2.0 * math.pi)
    outer_step = middle_step * math.exp(0.5 * normal * normal)
    state[LOW] += outer_step * ((1.0 - share) - (1.0 if y < state[LOW] else 0.0))
    state[HIGH] += outer_step * (share - (1.0 if y < state[HIGH] else 0.0))
    state[MEDIAN] += middle_step * (0.5 - (1.0 if y < state[MEDIAN] else 0.0))
    # Steps of estimates near each other must not let them cross.
    state[LOW] = min(state[LOW], state[MEDIAN])
    state[HIGH] = max(state[HIGH], state[MEDIAN])
