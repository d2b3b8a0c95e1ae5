"""Recent: windows as models of all entities are given them, how far they are from their entity's levels of late."""

import numpy as np

from jobs.training.windows import Windows
from udfs.detector import Detector, resolutions
from udfs.kernels import Floats
from udfs.stats.recent import deviations_in_order

_FARTHEST = 9.0
"""Squares are cut off at so many times their median: what was out of order does not decide what is in it."""


def common_variance(windows: Windows, detector: Detector) -> Floats:
    """Return the variance of a single call, float64[metrics], of the entity in the middle; 0 where nothing repeats.

    By differences of successive windows on the logarithmic scale, which a level that drifts hardly touches.
    """
    units, own = _units(windows, detector), []
    scaled = np.copysign(np.log1p(np.abs(units)), units)
    for _, rows in windows.by_entity():
        calls = windows.volumes[rows]
        of_a_call = np.diff(scaled[rows], axis=0) ** 2 / (1.0 / calls[1:] + 1.0 / calls[:-1])[:, None]
        known = ~np.isnan(of_a_call).all(axis=0)
        variance = np.full(scaled.shape[1], np.nan)
        farthest = _FARTHEST * np.nanmedian(of_a_call[:, known], axis=0)
        variance[known] = np.nanmean(np.minimum(of_a_call[:, known], farthest), axis=0)
        own.append(variance)
    known = ~np.isnan(own).all(axis=0)
    common = np.zeros(scaled.shape[1])
    common[known] = np.nanmedian(np.array(own)[:, known], axis=0)
    return common


def deviations_of(windows: Windows, detector: Detector, variance: Floats) -> Floats:
    """Return what the detector is given of each window after its entity's warm-up, float64[n, metrics]."""
    units, found = _units(windows, detector), [np.empty((0, windows.vectors.shape[1]))]
    for _, rows in windows.by_entity():
        deviations = np.empty(units[rows].shape)
        deviations_in_order(units[rows], windows.volumes[rows], variance, deviations)
        found.append(deviations[detector.warm_up_samples :])
    return np.concatenate(found)


def _units(windows: Windows, detector: Detector) -> Floats:
    return windows.vectors / resolutions(detector.metrics)
