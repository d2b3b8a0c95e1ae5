"""Binomial: how improbable a count of failures is, given the series' own rate and how its failures cluster."""

import math

from udfs.kernels import kernel

_LN10 = math.log(10.0)
_NEGLIGIBLE = 1e-9


@kernel
def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@kernel
def tail_decades(failures: float, calls: float, rate: float, strength: float) -> float:
    """Return minus the decimal logarithm of the probability of `failures` or more of `calls`.

    The count is beta-binomial: the rate itself is drawn from a beta law of mean `rate` in (0, 1) that is as sharp as if
    it rested on `strength` calls (Skellam 1948, A probability distribution derived from the binomial distribution). The
    terms of the tail are summed until they no longer matter. 0 for what is no more than expected.
    """
    if failures <= calls * rate:
        return 0.0
    a, b = rate * strength, (1.0 - rate) * strength
    log_first = (
        math.lgamma(calls + 1.0)
        - math.lgamma(failures + 1.0)
        - math.lgamma(calls - failures + 1.0)
        + _log_beta(failures + a, calls - failures + b)
        - _log_beta(a, b)
    )
    term, total, k = 1.0, 1.0, failures
    while k < calls and term > _NEGLIGIBLE * total:
        term *= (calls - k) / (k + 1.0) * (k + a) / (calls - k - 1.0 + b)
        total += term
        k += 1.0
    return max(-(log_first + math.log(total)) / _LN10, 0.0)


@kernel
def least_failures(decades: float, calls: float, rate: float, strength: float) -> float:
    """Return the fewest failures of `calls` that are improbable by `decades`; calls + 1 if none are."""
    low, high = math.floor(calls * rate), calls + 1.0
    while high - low > 1.0:
        middle = math.floor(0.5 * (low + high))
        if tail_decades(middle, calls, rate, strength) < decades:
            low = middle
        else:
            high = middle
    return high
