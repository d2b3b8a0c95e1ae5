"""Records: how far a feature has reached to both sides in the present block of observations and in the one before.

State: HIGH and LOW of either block. When a block ends, what came before the last one is forgotten: a record holds for
one to two blocks. What breaks a record by a share of the whole range is remarkable whatever the law of the feature is,
and no window of the past is kept to know it (Chandler 1952, The distribution and frequency of record values).
"""

from udfs.kernels import Floats, kernel

RECORD_WIDTH = 4
_HIGH, _LOW, _PAST_HIGH, _PAST_LOW = range(RECORD_WIDTH)

LARGEST_EXCESS = 1e3
"""Of a feature that never moved, anything else is a record by this much."""


@kernel
def excess_beyond(state: Floats, at: int, value: float) -> float:
    """Return by which share of the range between both extremes a value lies beyond one: above > 0, below < 0, else 0.

    `at` is where the record's state begins. At most LARGEST_EXCESS in size.
    """
    high = max(state[at + _HIGH], state[at + _PAST_HIGH])
    low = min(state[at + _LOW], state[at + _PAST_LOW])
    beyond = value - high if value > high else min(value - low, 0.0)
    if beyond == 0.0:
        return 0.0
    span = high - low
    if span <= 0.0:
        return LARGEST_EXCESS if beyond > 0.0 else -LARGEST_EXCESS
    return min(max(beyond / span, -LARGEST_EXCESS), LARGEST_EXCESS)


@kernel
def begin_record(state: Floats, at: int, value: float) -> None:
    """Take the first value of all."""
    for place in range(RECORD_WIDTH):
        state[at + place] = value


@kernel
def begin_block(state: Floats, at: int, value: float) -> None:
    """Take the first value of a new block."""
    state[at + _PAST_HIGH], state[at + _PAST_LOW] = state[at + _HIGH], state[at + _LOW]
    state[at + _HIGH] = state[at + _LOW] = value


@kernel
def learn_record(state: Floats, at: int, value: float) -> None:
    """Take a value into the present block."""
    state[at + _HIGH] = max(state[at + _HIGH], value)
    state[at + _LOW] = min(state[at + _LOW], value)
