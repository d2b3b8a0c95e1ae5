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


def fit(deviations: Floats, seed: int) -> Fitted:
    """Return a network over deviations float64[n, metrics], in standard deviations.

    The bottleneck is half as wide as there are metrics, the layers around it twice: wide enough to bend, too narrow in
    the middle to copy.
    """
    metrics = deviations.shape[1]
    widths = (2 * metrics, max(metrics // 2, 1), 2 * metrics)
    network = MLPRegressor(hidden_layer_sizes=widths, activation="tanh", alpha=1e-3, max_iter=_STEPS, random_state=seed)
    with warnings.catch_warnings():
        # How well it reproduces when the steps are over, the quantiles of its errors say.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(deviations, deviations)

    def scores(given: Floats) -> Floats:
        """Return the root mean square error, in standard deviations."""
        return np.asarray(np.sqrt(np.mean((given - network.predict(given).reshape(given.shape)) ** 2, axis=1)))

    arrays = {}
    for number, (weight, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        arrays[f"weight_{number}"], arrays[f"bias_{number}"] = np.ascontiguousarray(weight.T), bias
    return Fitted(arrays, scores)
