from typing import ClassVar, Literal

import numpy as np

from schemas.anomaly import DetectorType
from schemas.model import PublishedModel
from udfs.detector import Detector, Kernels
from udfs.kernels import Floats, kernel
from udfs.stats.arrays import common_variances, fitting, unpack
from udfs.stats.recent import RECENT_WIDTH, adopt_recent, learn_recent, recent_deviations
from udfs.stats.tables import quantile_table, table_decades

_TREES, _NODES_PER_TREE, _NORMAL_PATH, _COMMON = range(4)
# A leaf has its path where an inner node has its threshold.
_FEATURE, _THRESHOLD, _LEFT, _RIGHT = range(4)
_PATH = _THRESHOLD
_NODE_WIDTH = 4
_LEAF = -1.0


@kernel
def _isolation(z: Floats, parameters: Floats, shares: Floats) -> float:
    """Return the isolation score 2 ** (-E[h] / c) in (0, 1), and what each metric did for it."""
    trees, nodes, metrics = int(parameters[_TREES]), int(parameters[_NODES_PER_TREE]), z.shape[0]
    first = _COMMON + metrics
    path, passed = 0.0, np.empty(nodes, np.int64)
    for j in range(metrics):
        shares[j] = 0.0
    for tree in range(trees):
        root = first + tree * nodes * _NODE_WIDTH
        at, depth = root, 0
        while parameters[at + _FEATURE] != _LEAF:
            j = int(parameters[at + _FEATURE])
            passed[depth] = j
            depth += 1
            child = parameters[at + _LEFT] if z[j] <= parameters[at + _THRESHOLD] else parameters[at + _RIGHT]
            at = root + int(child) * _NODE_WIDTH
        path += parameters[at + _PATH]
        # Metrics that isolate in few steps did more (Carletti et al. 2023, Interpretable anomaly detection with DIFFI).
        did = 1.0 / max(depth * parameters[at + _PATH], 1.0)
        for k in range(depth):
            shares[passed[k]] += did
    total = 0.0
    for j in range(metrics):
        total += shares[j]
    for j in range(metrics):
        shares[j] = shares[j] / total if total > 0.0 else 0.0
    return 2.0 ** (-path / trees / parameters[_NORMAL_PATH])


@kernel
def _score(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, shares: Floats) -> float:
    trees, nodes, metrics = int(parameters[_TREES]), int(parameters[_NODES_PER_TREE]), x.shape[0]
    table = _COMMON + metrics + trees * nodes * _NODE_WIDTH
    z = np.empty(metrics)
    recent_deviations(state, x, volume, parameters, _COMMON, z)
    return table_decades(_isolation(z, parameters, shares), parameters, table)


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


class IsolationForest(Detector, frozen=True, tag="isolation_forest"):
    """How few random cuts isolate a window from the ordinary ones of all entities; silent without a model.

    As with `autoencoder`, a window is how far its metrics are from the entity's own levels of late
    (`udfs.stats.recent`).

    The model's arrays, all of shape [trees, nodes]: `feature` (int, -1 at a leaf), `threshold`, `left`, `right` (int,
    node of the same tree; left if the value is at most the threshold), `path` (at a leaf: its depth plus c(windows in
    it), the mean path of a search tree of so many). Besides `variance` [metrics], that of a single call of all
    entities, and `normal_path` [1], c(windows a tree was grown on). A missing metric is taken as at its level.

    Raw score: decades, minus the decimal logarithm of the share of training windows as isolated (score_quantiles of the
    isolation score 2 ** (-E[h] / c), continued beyond them). State: 3 floats a metric. Warm-up: `warm_up_samples` and
    `warm_up_ms`. Source: Liu, Ting and Zhou 2008, Isolation forest.
    """

    direction: Literal["high", "low", "both"] = "both"

    form: ClassVar[Literal["series", "vector", "silence"]] = "vector"
    detector_type: ClassVar[DetectorType] = DetectorType.ML
    method: ClassVar[str] = "isolation forest over all metrics"
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
        """Sizes, normal path, variances, the nodes of all trees, the table of quantiles."""
        fitting(model, "isolation_forest", self.detector_id, self.metrics)
        arrays = {name: unpack(model, name) for name in ("feature", "threshold", "left", "right", "path")}
        shape = arrays["feature"].shape
        if len(shape) != 2 or 0 in shape or any(array.shape != shape for array in arrays.values()):  # noqa: PLR2004
            raise ValueError(f"model {model.model_id!r}: the arrays of nodes must be of one shape [trees, nodes]")
        variance, normal_path = common_variances(model), unpack(model, "normal_path")
        if normal_path.shape != (1,) or not normal_path[0] > 0:
            raise ValueError(f"model {model.model_id!r}: `normal_path` must be one positive number")
        inner = arrays["feature"] >= 0
        children = np.stack([arrays["left"], arrays["right"]])
        own = np.arange(shape[1])
        if (
            (arrays["feature"] >= len(self.metrics)).any()
            or (children <= own)[:, inner].any()
            or (children >= shape[1])[:, inner].any()
            or (arrays["path"][~inner] <= 0).any()
        ):
            raise ValueError(
                f"model {model.model_id!r}: a node names a metric that is not there, or a child not behind it in "
                "its tree, or a leaf has no path"
            )
        threshold_or_path = np.where(inner, arrays["threshold"], arrays["path"])
        nodes = np.stack([arrays["feature"], threshold_or_path, arrays["left"], arrays["right"]], axis=-1)
        table = quantile_table(model.training.score_quantiles)
        return np.concatenate([[*shape, normal_path[0]], variance, nodes.ravel(), table])
