"""Records: how far ordinary values of a feature reach to both sides, as two extremes that slowly fade.

State: HIGH, LOW and MIDDLE. A value beyond an extreme is a record; the extreme follows it at once, and then fades
towards the slow mean of the feature. What breaks a record by a share of the whole range is remarkable whatever the law
of the feature is (Wilks 1959, Recurrence of extreme observations), and costs no window of the past.
"""

from udfs.kernels import Floats, kernel

RECORD_WIDTH = 3
_HIGH, _LOW, _MIDDLE = range(RECORD_WIDTH)

LARGEST_EXCESS = 1e3
"""Of a feature that never moved, anything else is a record by this much."""


@kernel
def excess_beyond(state: Floats, at: int, value: float) -> float:
    """Return by which share of the range between both extremes a value lies beyond one: above > 0, below < 0, else 0.

    `at` is where the record's state begins. At most LARGEST_EXCESS in size.
    """
    high, low = state[at + _HIGH], state[at + _LOW]
    beyond = value - high if value > high else min(value - low, 0.0)
    if beyond == 0.0:
        return 0.0
    span = high - low
    if span <= 0.0:
        return LARGEST_EXCESS if beyond > 0.0 else -LARGEST_EXCESS
    return min(max(beyond / span, -LARGEST_EXCESS), LARGEST_EXCESS)


@kernel
def learn_record(state: Floats, at: int, value: float, count: float, fading: float) -> None:
    """Take a value into the record; `count` were seen with it, `fading` in (0, 1) is what is forgotten with one."""
    if count <= 1.0:
        state[at + _HIGH] = state[at + _LOW] = state[at + _MIDDLE] = value
        return
    middle = state[at + _MIDDLE] = state[at + _MIDDLE] + max(fading, 1.0 / count) * (value - state[at + _MIDDLE])
    state[at + _HIGH] = max(value, state[at + _HIGH] - fading * (state[at + _HIGH] - middle))
    state[at + _LOW] = min(value, state[at + _LOW] + fading * (middle - state[at + _LOW]))
