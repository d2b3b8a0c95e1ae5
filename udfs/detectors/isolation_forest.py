from typing import ClassVar, Literal

import numpy as np

from schemas.anomaly import DetectorType
from schemas.model import PublishedModel
from udfs.detector import Detector, Kernels
from udfs.kernels import Floats, kernel
from udfs.stats.arrays import fitting, unpack
from udfs.stats.scale import LOG, from_scale
from udfs.stats.tables import quantile_table, table_decades

_TREES, _NODES_PER_TREE, _NORMAL_PATH, _MISSING = range(4)
# A leaf has its path where an inner node has its threshold.
_FEATURE, _THRESHOLD, _LEFT, _RIGHT = range(4)
_PATH = _THRESHOLD
_NODE_WIDTH = 4
_LEAF = -1.0


@kernel
def _child(at: int, root: int, x: Floats, parameters: Floats) -> int:
    """Return where the node is that the value of an inner node's metric leads to."""
    j = int(parameters[at + _FEATURE])
    value = parameters[_MISSING + j] if np.isnan(x[j]) else x[j]
    child = parameters[at + _LEFT] if value <= parameters[at + _THRESHOLD] else parameters[at + _RIGHT]
    return root + int(child) * _NODE_WIDTH


@kernel
def _isolation(x: Floats, parameters: Floats, shares: Floats) -> float:
    """Return the isolation score 2 ** (-E[h] / c) in (0, 1), and what each metric did for it."""
    trees, nodes, metrics = int(parameters[_TREES]), int(parameters[_NODES_PER_TREE]), x.shape[0]
    first = _MISSING + metrics
    path = 0.0
    for j in range(metrics):
        shares[j] = 0.0
    for tree in range(trees):
        root = first + tree * nodes * _NODE_WIDTH
        at, depth = root, 0
        while parameters[at + _FEATURE] != _LEAF:
            at = _child(at, root, x, parameters)
            depth += 1
        leaf = at
        path += parameters[leaf + _PATH]
        # Metrics that isolate in few steps did more (Carletti et al. 2023, Interpretable anomaly detection with DIFFI).
        at, did = root, 1.0 / max(depth * parameters[leaf + _PATH], 1.0)
        while at != leaf:
            shares[int(parameters[at + _FEATURE])] += did
            at = _child(at, root, x, parameters)
    total = 0.0
    for j in range(metrics):
        total += shares[j]
    for j in range(metrics):
        shares[j] = shares[j] / total if total > 0.0 else 0.0
    return 2.0 ** (-path / trees / parameters[_NORMAL_PATH])


@kernel
def _score(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, shares: Floats) -> float:
    trees, nodes, metrics = int(parameters[_TREES]), int(parameters[_NODES_PER_TREE]), x.shape[0]
    table = _MISSING + metrics + trees * nodes * _NODE_WIDTH
    return table_decades(_isolation(x, parameters, shares), parameters, table)


@kernel
def _learn(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats, weight: float) -> None:
    pass


@kernel
def _adopt(state: Floats, x: Floats, volume: float, at_ms: int, parameters: Floats) -> float:
    return 0.0


@kernel
def _surprise(raw_score: float, parameters: Floats) -> float:
    return raw_score


class IsolationForest(Detector, frozen=True, tag="isolation_forest"):
    """How few random cuts isolate a window from those that a forest was trained on elsewhere; silent without a model.

    The model's arrays, all of shape [trees, nodes]: `feature` (int, -1 at a leaf), `threshold`, `left`, `right` (int,
    node of the same tree; left if the value is at most the threshold), `path` (at a leaf: its depth plus c(windows in
    it), the mean path of a search tree of so many). Besides `missing` [metrics], what stands for a missing metric, and
    `normal_path` [1], c(windows a tree was grown on). Values are log(1 + value / resolution), as `udfs.stats.scale` and
    `udfs.detector.RESOLUTION` say.

    Raw score: decades, minus the decimal logarithm of the share of training windows as isolated (score_quantiles of the
    isolation score 2 ** (-E[h] / c), continued beyond them). No state but the header. Warm-up: `warm_up_samples` and
    `warm_up_ms`. Source: Liu, Ting and Zhou 2008, Isolation forest.
    """

    direction: Literal["high", "low", "both"] = "both"

    form: ClassVar[Literal["series", "vector", "silence"]] = "vector"
    detector_type: ClassVar[DetectorType] = DetectorType.ML
    method: ClassVar[str] = "isolation forest over all metrics"
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
        """Sizes, normal path, what stands for missing metrics, the nodes of all trees, the table of quantiles."""
        fitting(model, "isolation_forest", self.detector_id, self.metrics)
        arrays = {name: unpack(model, name) for name in ("feature", "threshold", "left", "right", "path")}
        shape = arrays["feature"].shape
        if len(shape) != 2 or 0 in shape or any(array.shape != shape for array in arrays.values()):  # noqa: PLR2004
            raise ValueError(f"model {model.model_id!r}: the arrays of nodes must be of one shape [trees, nodes]")
        missing, normal_path = unpack(model, "missing"), unpack(model, "normal_path")
        if missing.shape != (len(self.metrics),) or normal_path.shape != (1,) or not normal_path[0] > 0:
            raise ValueError(
                f"model {model.model_id!r}: `missing` must be [metrics], `normal_path` one positive number"
            )
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
        # Cuts are moved to the values' own axis once, so that no value needs its logarithm at every node.
        cut_or_path = np.where(inner, _own_axis(arrays["threshold"]), arrays["path"])
        nodes = np.stack([arrays["feature"], cut_or_path, arrays["left"], arrays["right"]], axis=-1)
        table = quantile_table(model.training.score_quantiles)
        return np.concatenate([[shape[0], shape[1], normal_path[0]], _own_axis(missing), nodes.ravel(), table])


def _own_axis(scaled: Floats) -> Floats:
    """Return what values on the logarithmic scale are in units of the metric's resolution."""
    return np.array([from_scale(each, LOG) for each in scaled.ravel()]).reshape(scaled.shape)
