"""Measures of a score against labels, none of which adjusts points: a random score must stay worthless."""

import numpy as np
from numpy.typing import NDArray

from tests.quality.labelled_data import Labels
from udfs.kernels import Floats

THRESHOLDS = 250
BUFFERS = range(0, 101, 10)
"""Widths, in rows, by which VUS-PR blurs the ends of anomalies: the first of them is none."""


def average_precision(labels: Labels, score: Floats) -> float:
    """Return the area under precision by recall over rows, as a step function; equal scores are one threshold."""
    hits, rows = _counts(labels, score)
    return float((np.diff(hits, prepend=0) * hits / rows).sum() / max(labels.sum(), 1))


def composite_f1(labels: Labels, score: Floats) -> float:
    """Return the best harmonic mean, over thresholds, of the precision of rows and the recall of events.

    An event, a run of anomalous rows, is recalled by any of its rows (Garg et al. 2021, An evaluation of anomaly
    detection and diagnosis in multivariate time series).
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    precision = np.cumsum(labels[order])[last] / (last + 1)
    best = np.sort([-score[start:end].max() for start, end in events(labels)])
    recall = np.searchsorted(best, -ranked[last], side="right") / len(best)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def vus_pr(labels: Labels, score: Floats) -> float:
    """Return the volume under the surface of precision by recall over thresholds and blurred ends of anomalies.

    Paparrizos et al. 2022, Volume under the surface; thresholds at THRESHOLDS ranks, ends blurred by BUFFERS rows,
    where the published code takes every width up to one period of the series.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    at = ranked[np.linspace(0, len(score) - 1, THRESHOLDS).astype(np.int64)]
    predicted = np.searchsorted(-ranked, -at, side="right")
    return float(np.mean([_range_ap(labels, score, order, at, predicted, width) for width in BUFFERS]))


def events(labels: Labels) -> list[tuple[int, int]]:
    """Return start and end (exclusive) of each run of anomalous rows."""
    edges = np.diff(np.concatenate([[0], labels, [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _counts(labels: Labels, score: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return np.cumsum(labels[order])[last], last + 1


def _range_ap(
    labels: Labels, score: Floats, order: NDArray[np.int64], at: Floats, predicted: NDArray[np.int64], width: int
) -> float:
    """Return average precision against labels whose ends fall off by a square root over half a width."""
    blurred = labels.astype(np.float64)
    half = width // 2
    for start, end in events(labels):
        for row in range(max(start - half, 0), start):
            blurred[row] += np.sqrt(1.0 - (start - row) / width)
        for row in range(end, min(end + half, len(labels))):
            blurred[row] += np.sqrt(1.0 - (row - end + 1) / width)
    blurred = np.minimum(blurred, 1.0)
    hits = np.cumsum(blurred[order])[predicted - 1]
    halo = np.cumsum(np.where(labels == 1, 0.0, blurred)[order])[predicted - 1]
    positives = labels.sum() + 0.5 * halo
    best = np.sort([-score[start:end].max() for start, end in events((blurred > 0).astype(np.int64))])
    existence = np.searchsorted(best, -at, side="right") / len(best)
    recall = np.minimum(hits / positives, 1.0) * existence
    return float((np.diff(recall, prepend=0.0) * hits / predicted).sum())
