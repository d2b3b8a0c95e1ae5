"""Fitted: what a way of fitting gives back."""

from collections.abc import Callable
from typing import NamedTuple

from udfs.kernels import Floats


class Fitted(NamedTuple):
    """A model without its calibration."""

    arrays: dict[str, Floats]
    """As the detector's docstring says."""
    scores: Callable[[Floats], Floats]
    """Raw scores float64[n], before calibration, of deviations float64[n, metrics]; by the library that fitted."""
