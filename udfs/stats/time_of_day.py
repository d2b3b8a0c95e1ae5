"""Time of day: what a series usually is at this hour, drawn towards its mean unless the day explains it better.

State: SLOW_MEAN, the mean errors of it and of the profile, then the level and the evidence of each of CELLS cells of a
day in UTC. Between the middles of two cells the profile is a straight line. How much the profile counts follows from
both errors, so that a series without a daily rhythm, or younger than a day, is compared with its mean (shrinkage; Efron
and Morris 1975, Data analysis using Stein's estimator).
"""

import math

from udfs.kernels import Floats, kernel

CELLS = 48
PROFILE_WIDTH = 3 + 2 * CELLS
_SLOW_MEAN, _MEAN_ERROR, _PROFILE_ERROR = range(3)
_LEVEL, _EVIDENCE = 3, 3 + CELLS

DAY_MS = 86_400_000.0
_CELL_MS = DAY_MS / CELLS

_SLOW_SAMPLES = 2_000.0
"""Observations that the slow mean and both errors rest on at most."""
_DAY_WEIGHT = 0.3
"""What the newest day weighs in the level of a cell."""
_SHARPNESS = 4.0
"""The power of the errors' ratio: an error smaller by a quarter makes the profile count three quarters."""


@kernel
def _place(at_ms: int) -> tuple[int, int, float]:
    """Return the two cells whose middles a time lies between, and how far towards the second, in [0, 1)."""
    place = (at_ms % DAY_MS) / _CELL_MS - 0.5
    whole = math.floor(place)
    return int(whole) % CELLS, (int(whole) + 1) % CELLS, place - whole


@kernel
def _profile(state: Floats, at: int, at_ms: int) -> float:
    """Return the level of the profile, or the slow mean where the day is not known yet."""
    first, second, share = _place(at_ms)
    knows_first = state[at + _EVIDENCE + first] > 0.0
    knows_second = state[at + _EVIDENCE + second] > 0.0
    if knows_first and knows_second:
        return (1.0 - share) * state[at + _LEVEL + first] + share * state[at + _LEVEL + second]
    if knows_second:
        return state[at + _LEVEL + second]
    return state[at + _LEVEL + first] if knows_first else state[at + _SLOW_MEAN]


@kernel
def expected_at(state: Floats, at: int, at_ms: int) -> float:
    """Return what is expected at a time; `at` is where the profile's state begins."""
    mean = state[at + _SLOW_MEAN]
    if state[at + _MEAN_ERROR] <= 0.0:
        return mean
    ratio = min(state[at + _PROFILE_ERROR] / state[at + _MEAN_ERROR], 1e3)
    return mean + (_profile(state, at, at_ms) - mean) / (1.0 + ratio**_SHARPNESS)


@kernel
def learn_time_of_day(state: Floats, at: int, x: float, at_ms: int, count: float, step_ms: float, reach: float) -> None:
    """Take a value into mean and profile; what is farther off than `reach` is learnt as if it were there.

    `count` values were seen with it; `step_ms` is the usual time between two.
    """
    if count <= 1.0:
        state[at + _SLOW_MEAN] = x
    mean, profile = state[at + _SLOW_MEAN], _profile(state, at, at_ms)
    weight = max(1.0 / count, 1.0 / _SLOW_SAMPLES)
    state[at + _MEAN_ERROR] += weight * (abs(x - mean) - state[at + _MEAN_ERROR])
    state[at + _PROFILE_ERROR] += weight * (abs(x - profile) - state[at + _PROFILE_ERROR])
    state[at + _SLOW_MEAN] += weight * min(max(x - mean, -reach), reach)
    daily = _DAY_WEIGHT * min(1.0, step_ms / _CELL_MS)
    first, second, share = _place(at_ms)
    for cell, part in ((first, 1.0 - share), (second, share)):
        if part > 0.0:
            state[at + _EVIDENCE + cell] += part
            evidence = state[at + _EVIDENCE + cell]
            difference = x - state[at + _LEVEL + cell]
            if evidence > 1.0:
                difference = min(max(difference, -reach), reach)
            state[at + _LEVEL + cell] += max(part / evidence, part * daily) * difference
