import math
from typing import ClassVar, Literal

import numpy as np

from schemas.anomaly import DetectorType
from schemas.model import PublishedModel
from udfs.detector import Detector, Kernels
from udfs.kernels import Floats, kernel
from udfs.stats.arrays import fitting, unpack
from udfs.stats.scale import LOG, to_scale
from udfs.stats.tables import quantile_table, table_decades

_LAYERS, _WIDEST, _SIZES = range(3)

# In standard deviations of training; a value farther out is as far out as one need know.
_EDGE = 20.0


@kernel
def _score(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, shares: Floats) -> float:
    layers, widest, metrics = int(parameters[_LAYERS]), int(parameters[_WIDEST]), x.shape[0]
    at = _SIZES + layers
    means, scales = at, at + metrics
    at += 2 * metrics
    given, layer = np.zeros(widest), np.zeros(widest)
    for j in range(metrics):
        z = 0.0 if np.isnan(x[j]) else (to_scale(x[j], LOG) - parameters[means + j]) / parameters[scales + j]
        given[j] = layer[j] = min(max(z, -_EDGE), _EDGE)
    width, following = metrics, np.zeros(widest)
    for k in range(layers):
        size = int(parameters[_SIZES + k])
        biases = at + size * width
        for i in range(size):
            total = parameters[biases + i]
            for j in range(width):
                total += parameters[at + i * width + j] * layer[j]
            following[i] = math.tanh(total) if k < layers - 1 else total
        for i in range(size):
            layer[i] = following[i]
        at, width = biases + size, size
    error, seen = 0.0, 0
    for j in range(metrics):
        shares[j] = 0.0 if np.isnan(x[j]) else (given[j] - layer[j]) ** 2
        seen += 0 if np.isnan(x[j]) else 1
        error += shares[j]
    for j in range(metrics):
        shares[j] = shares[j] / error if error > 0.0 else 0.0
    return table_decades(math.sqrt(error / seen), parameters, at)


@kernel
def _learn(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    pass


@kernel
def _adopt(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats) -> float:
    return 0.0


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return raw_score


class Autoencoder(Detector, frozen=True, tag="autoencoder"):
    """How badly a network that was trained elsewhere to reproduce ordinary windows reproduces this.

    Silent without a model.

    The model's arrays: `mean` and `scale` [metrics], by which log(1 + value / resolution) is standardised (as
    `udfs.stats.scale` and `udfs.detector.RESOLUTION` say); `weight_0` [width, metrics], `bias_0` [width] and so on to
    the last layer, which is as wide as there are metrics. Layers are tanh(weight @ input + bias), the last one linear.
    A missing metric is taken as its mean and has no part in the error.

    Raw score: decades, minus the decimal logarithm of the share of training windows reproduced as badly
    (score_quantiles of the root mean square error, continued beyond them). No state but the header. Warm-up:
    `warm_up_samples` and `warm_up_ms`. Source: Hawkins et al. 2002, Outlier detection using replicator neural networks.
    """

    direction: Literal["high", "low", "both"] = "both"

    form: ClassVar[Literal["series", "vector", "silence"]] = "vector"
    detector_type: ClassVar[DetectorType] = DetectorType.ML
    method: ClassVar[str] = "reconstruction error of an autoencoder over all metrics"
    unit: ClassVar[str] = "decades of training windows"
    needs_model: ClassVar[bool] = True
    kernels: ClassVar[Kernels] = Kernels(_score, _learn, _adopt, _surprise)

    @property
    def state_width(self) -> int:
        """Nothing is learnt."""
        return 0

    def parameters(self) -> Floats:
        """None without a model."""
        return np.empty(0)

    def model_parameters(self, model: PublishedModel) -> Floats:
        """Count, widest and widths of the layers; means and scales; weights and biases by layer; table of quantiles."""
        fitting(model, "autoencoder", self.detector_id, self.metrics)
        metrics = len(self.metrics)
        mean, scale = unpack(model, "mean"), unpack(model, "scale")
        if mean.shape != (metrics,) or scale.shape != (metrics,) or not (scale > 0).all():
            raise ValueError(f"model {model.model_id!r}: `mean` and `scale` must be [metrics], scales above 0")
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
        head = [len(sizes), max(*sizes, metrics), *sizes]
        return np.concatenate([head, mean, scale, *layers, table])
