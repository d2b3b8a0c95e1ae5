import math
from typing import ClassVar, Literal

import numpy as np

from schemas.anomaly import DetectorType
from schemas.model import PublishedModel
from udfs.detector import Detector, Kernels
from udfs.kernels import Floats, kernel
from udfs.stats.arrays import common_variances, fitting, unpack
from udfs.stats.recent import RECENT_WIDTH, adopt_recent, learn_recent, recent_deviations
from udfs.stats.tables import quantile_table, table_decades

_LAYERS, _WIDEST, _COMMON = range(3)


@kernel
def _score(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, shares: Floats) -> float:
    layers, widest, metrics = int(parameters[_LAYERS]), int(parameters[_WIDEST]), x.shape[0]
    given, layer, following = np.zeros(metrics), np.zeros(widest), np.zeros(widest)
    seen = recent_deviations(state, x, volume, parameters, _COMMON, given)
    layer[:metrics] = given
    sizes = _COMMON + metrics
    at, width = sizes + layers, metrics
    for k in range(layers):
        size = int(parameters[sizes + k])
        biases = at + size * width
        for i in range(size):
            total = parameters[biases + i]
            for j in range(width):
                total += parameters[at + i * width + j] * layer[j]
            following[i] = math.tanh(total) if k < layers - 1 else total
        for i in range(size):
            layer[i] = following[i]
        at, width = biases + size, size
    error = 0.0
    for j in range(metrics):
        shares[j] = 0.0 if np.isnan(x[j]) else (given[j] - layer[j]) ** 2
        error += shares[j]
    for j in range(metrics):
        shares[j] = shares[j] / error if error > 0.0 else 0.0
    return table_decades(math.sqrt(error / seen), parameters, at)


@kernel
def _learn(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    if weight > 0.0:
        learn_recent(state, x, volume, parameters, _COMMON)


@kernel
def _adopt(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats) -> float:
    return adopt_recent(state, x)


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return raw_score


class Autoencoder(Detector, frozen=True, tag="autoencoder"):
    """How badly a network that was trained on ordinary windows of all entities reproduces this one; silent without it.

    What it is given is how far the metrics are from the entity's own levels of late (`udfs.stats.recent`): what is
    ordinary for one is not for another, but how their metrics move together is much alike. So it judges an entity that
    is a few windows old, whose own correlations nobody knows yet.

    The model's arrays: `variance` [metrics], that of a single call of all entities; `weight_0` [width, metrics],
    `bias_0` [width] and so on to the last layer, which is as wide as there are metrics. Layers are
    tanh(weight @ input + bias), the last one linear. A missing metric is taken as at its level and has no part in the
    error.

    Raw score: decades, minus the decimal logarithm of the share of training windows reproduced as badly
    (score_quantiles of the root mean square error, continued beyond them). State: 3 floats a metric. Warm-up:
    `warm_up_samples` and `warm_up_ms`. Source: Hawkins et al. 2002, Outlier detection using replicator neural networks.
    """

    direction: Literal["high", "low", "both"] = "both"

    form: ClassVar[Literal["series", "vector", "silence"]] = "vector"
    detector_type: ClassVar[DetectorType] = DetectorType.ML
    method: ClassVar[str] = "reconstruction error of an autoencoder over all metrics"
    unit: ClassVar[str] = "decades of training windows"
    state_version: ClassVar[int] = 2
    needs_model: ClassVar[bool] = True
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise)

    @property
    def state_width(self) -> int:
        """Count, level and variance of each metric."""
        return RECENT_WIDTH * len(self.metrics)

    def parameters(self) -> Floats:
        """None without a model."""
        return np.empty(0)

    def model_parameters(self, model: PublishedModel) -> Floats:
        """Count and widest of the layers; variances; widths; weights and biases by layer; table of quantiles."""
        fitting(model, "autoencoder", self.detector_id, self.metrics)
        metrics = len(self.metrics)
        variance = common_variances(model)
        layers: list[Floats] = []
        sizes: list[int] = []
        width = metrics
        while f"weight_{len(sizes)}" in model.arrays:
            weight, bias = unpack(model, f"weight_{len(sizes)}"), unpack(model, f"bias_{len(sizes)}")
            if weight.shape != (*bias.shape, width):
                raise ValueError(
                    f"model {model.model_id!r}: `weight_{len(sizes)}` must be [width of `bias_{len(sizes)}`, {width}]"
                )
            layers.extend((weight.ravel(), bias))
            width = len(bias)
            sizes.append(width)
        if not sizes or width != metrics:
            raise ValueError(
                f"model {model.model_id!r}: the last layer must be as wide as there are metrics, {metrics}"
            )
        table = quantile_table(model.training.score_quantiles)
        return np.concatenate([[len(sizes), max(*sizes, metrics)], variance, sizes, *layers, table])
