"""Scale: the axis on which a metric is compared with its past."""

import math

from udfs.kernels import kernel

LINEAR, LOG = 0.0, 1.0

_LARGEST_EXPONENT = 709.0
# Beyond this a square would no longer be finite.
_LARGEST_LINEAR = 1e150


@kernel
def to_scale(x: float, scale: float) -> float:
    """Return x, finite, on the scale: itself, or sign(x) * log(1 + |x|), where factors are distances."""
    if scale == LINEAR:
        return min(max(x, -_LARGEST_LINEAR), _LARGEST_LINEAR)
    return math.copysign(math.log1p(abs(x)), x)


@kernel
def from_scale(y: float, scale: float) -> float:
    """Return the value that `to_scale` makes y; finite for every finite y."""
    if scale == LINEAR:
        return y
    return math.copysign(math.expm1(min(abs(y), _LARGEST_EXPONENT)), y)


@kernel
def floor_on_scale(mean: float, floor: float, scale: float) -> float:
    """Return the least deviation that is believed: a share of the value, which on a logarithmic scale is a constant."""
    if scale == LINEAR:
        return floor * abs(mean) + 1e-9
    return floor
