"""Isolation forest: grown by pyod, unrolled into the arrays that the detector's kernel walks."""

import numpy as np
from pyod.models.iforest import IForest

from jobs.training.fitted import Fitted
from udfs.kernels import Floats

TREES = 64
WINDOWS_PER_TREE = 256
"""As many as Liu, Ting and Zhou 2008 found enough; a tree of them has at most 511 nodes."""
_BACKGROUND = 0.2
"""Points for each window: with fewer, more trees of 256 have none in the corner that a fault comes from."""
_LEAST_RANGE = 1.0
"""A metric that hardly varied may differ by a standard deviation before that is remarkable."""
_EULER = 0.5772156649015329


def fit(deviations: Floats, seed: int) -> Fitted:
    """Return a forest over deviations float64[n, metrics], in standard deviations.

    Besides the windows a forest is grown on points thrown evenly over a wider box: cuts of a forest of windows alone
    lie between them, so that it takes whatever is beyond for their edge.
    """
    grown_on = np.vstack([deviations, _background(deviations, seed)])
    forest = IForest(n_estimators=TREES, max_samples=min(WINDOWS_PER_TREE, len(grown_on)), random_state=seed)
    forest.fit(grown_on)

    def scores(given: Floats) -> Floats:
        """Return 2 ** (-E[h] / c)."""
        return np.asarray(-forest.detector_.score_samples(given))

    return Fitted(_unrolled(forest), scores)


def _background(windows: Floats, seed: int) -> Floats:
    """Return points spread evenly over the box of the windows, widened to all sides by three times its size."""
    low, high = windows.min(axis=0), windows.max(axis=0)
    margin = 3.0 * np.maximum(high - low, _LEAST_RANGE)
    count = int(_BACKGROUND * len(windows))
    return np.random.default_rng(seed).uniform(low - margin, high + margin, (count, windows.shape[1]))


def _unrolled(forest: IForest) -> dict[str, Floats]:
    trees = [each.tree_ for each in forest.estimators_]
    shape = (len(trees), max(tree.node_count for tree in trees))
    threshold, left, right = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    # A tree smaller than the largest is filled up with leaves that nothing leads to.
    feature, path = np.full(shape, -1.0), np.ones(shape)
    for number, tree in enumerate(trees):
        inner = tree.children_left >= 0
        depths = np.zeros(tree.node_count)
        # Children lie behind their parents.
        for node in np.flatnonzero(inner):
            depths[[tree.children_left[node], tree.children_right[node]]] = depths[node] + 1.0
        nodes = slice(0, tree.node_count)
        feature[number, nodes] = np.where(inner, tree.feature, -1)
        threshold[number, nodes] = np.where(inner, tree.threshold, 0.0)
        left[number, nodes] = np.where(inner, tree.children_left, 0)
        right[number, nodes] = np.where(inner, tree.children_right, 0)
        path[number, nodes] = np.where(inner, 0.0, depths + mean_path(tree.n_node_samples))
    normal_path = mean_path(np.array([forest.max_samples_]))
    return {
        "feature": feature,
        "threshold": threshold,
        "left": left,
        "right": right,
        "path": path,
        "normal_path": normal_path,
    }


def mean_path(windows: Floats) -> Floats:
    """Return c(n), the mean length of an unsuccessful search in a binary search tree of n windows."""
    n = np.maximum(np.asarray(windows, dtype=np.float64), 2.0)
    path = 2.0 * (np.log(n - 1.0) + _EULER) - 2.0 * (n - 1.0) / n
    # The approximation of the harmonic number is none for so few.
    return np.select([np.asarray(windows) <= 1, np.asarray(windows) <= 2], [0.0, 1.0], path)  # noqa: PLR2004
