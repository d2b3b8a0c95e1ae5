"""Tail: how far out ordinary values of a series go, so that heavy tails are forgiven and light ones are not.

State: one float, a slowly fading record of the deviations that were not anomalous. Detectors divide deviations by the
factor that the record exceeds a normal law's by: what breaks the record by a margin is remarkable whatever the law is.
"""

from udfs.kernels import kernel

TAIL_WIDTH = 1

NORMAL_RECORD = 3.5
"""Largest of about 2,000 standard normal deviations."""
FIRST_RECORD = 5.0
"""What is assumed of a series before anything is known."""
FADING = 0.25
"""The record fades this much more slowly than the baseline moves: extremes are rare."""
LARGEST_FACTOR = 3.0


@kernel
def tail_factor(record: float) -> float:
    """Return what to divide deviations by: 1 for a normal law, up to LARGEST_FACTOR for heavy tails."""
    if record == 0.0:
        record = FIRST_RECORD
    return min(max(record / NORMAL_RECORD, 1.0), LARGEST_FACTOR)


@kernel
def learn_tail(record: float, deviation: float, newest: float) -> float:
    """Return the record after one more deviation: half-way to one that breaks it, else slowly fading."""
    if record == 0.0:
        record = FIRST_RECORD
    size = abs(deviation)
    if size > record:
        return record + 0.5 * (size - record)
    return record - FADING * newest * (record - size)
