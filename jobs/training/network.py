"""Autoencoder: a small network fitted by scikit-learn, as the arrays that the detector's kernel multiplies.

`docs/decisions/0005-autoencoder-by-scikit-learn.md` says why not by pyod.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from jobs.training.fitted import Fitted
from udfs.kernels import Floats

_STEPS = 400
_EDGE = 20.0
"""Standard deviations beyond which the detector takes a value as this far out."""
_LEAST_SCALE = 0.05
"""A metric that hardly varied is not watched with a magnifying glass: 5 % of its value count as one deviation."""


def fit(scaled: Floats, seed: int) -> Fitted:
    """Return a network over vectors float64[n, metrics], scaled, NaN where a metric is missing.

    The bottleneck is half as wide as there are metrics, the layers around it twice: wide enough to bend, too narrow in
    the middle to copy.
    """
    mean = np.nanmean(scaled, axis=0)
    scale = np.maximum(np.nanstd(scaled, axis=0), _LEAST_SCALE)
    metrics = scaled.shape[1]

    def standardised(vectors: Floats) -> Floats:
        return np.asarray(np.clip(np.nan_to_num((vectors - mean) / scale), -_EDGE, _EDGE))

    widths = (2 * metrics, max(metrics // 2, 1), 2 * metrics)
    network = MLPRegressor(hidden_layer_sizes=widths, activation="tanh", alpha=1e-3, max_iter=_STEPS, random_state=seed)
    with warnings.catch_warnings():
        # How well it reproduces when the steps are over, the quantiles of its errors say.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(standardised(scaled), standardised(scaled))

    def scores(vectors: Floats) -> Floats:
        """Return the root mean square error over the metrics that are there, in standard deviations."""
        given = standardised(vectors)
        errors = np.where(np.isnan(vectors), np.nan, (given - network.predict(given).reshape(given.shape)) ** 2)
        return np.asarray(np.sqrt(np.nanmean(errors, axis=1)))

    arrays = {"mean": mean, "scale": scale}
    for number, (weight, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        arrays[f"weight_{number}"], arrays[f"bias_{number}"] = np.ascontiguousarray(weight.T), bias
    return Fitted(arrays, scores)
