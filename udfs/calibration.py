"""Calibration: raw scores of any detector as one comparable number in [0, 1], by way of how improbable they are."""

import math
import sys

from udfs.kernels import kernel

DECADES_PER_HALF = 6.0

_BODY_END = 3.0
# -log10 of the two-sided normal tail beyond _BODY_END, and the slope of its exponential continuation there: the hazard
# of the normal law at 3, 3.2831, divided by ln(10).
_BODY_END_DECADES = 2.5687
_TAIL_SLOPE = 1.4258


@kernel
def calibrate(decades: float) -> float:
    """Return the score in [0, 1] of what happens once in 10**decades observations when all is well.

    Each factor of a million halves the distance to 1: one in a million is 0.5, one in 10**12 is 0.75. So the score
    never saturates, and stays comparable where probabilities are only extrapolated.
    """
    return 1.0 - 2.0 ** (-max(decades, 0.0) / DECADES_PER_HALF)


def decades_of(score: float) -> float:
    """Return the decades of a calibrated score below 1: the inverse of `calibrate`."""
    return -DECADES_PER_HALF * math.log2(max(1.0 - score, sys.float_info.min))


@kernel
def deviation_decades(z: float) -> float:
    """Return minus the decimal logarithm of the probability of a deviation of `z` standard deviations or more.

    The normal law holds up to 3; beyond, an exponential tail continues it, since nothing in operations is normal that
    far out (peaks over threshold with shape zero; Siffer et al. 2017, Anomaly Detection in Streams with Extreme Value
    Theory). Six deviations are one in 7 million then, ten are one in 4 * 10**12.
    """
    if z <= _BODY_END:
        return -math.log10(max(math.erfc(z / math.sqrt(2.0)), 1e-300))
    return _BODY_END_DECADES + _TAIL_SLOPE * (z - _BODY_END)


@kernel
def nats_decades(nats: float) -> float:
    """Return minus the decimal logarithm of exp(-nats): for logarithms of likelihood ratios (Wald 1945)."""
    return nats / math.log(10.0)


@kernel
def heavy_tail_decades(z: float) -> float:
    """Return minus the decimal logarithm of the probability of a deviation of `z` deviations under a heavy tail.

    The tail falls with the sixth power, as Student's t with six degrees of freedom does: for values of any series,
    whose law nobody knows. It keeps apart what is thousands of deviations out, where `deviation_decades` is at its end.
    """
    return 3.0 * math.log10(1.0 + z * z)
