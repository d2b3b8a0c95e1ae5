"""Tables: raw scores of a trained model as improbabilities, by the quantiles that its training windows had."""

import math
from collections.abc import Sequence

import numpy as np

from udfs.kernels import Floats, kernel

_MOST_DECADES = 30.0


def quantile_table(quantiles: Sequence[tuple[float, float]]) -> Floats:
    """Return what `table_decades` takes: float64[1 + 2 k], the count k, then raw scores and decades, both ascending.

    `quantiles` are pairs (probability in [0, 1], raw score), ascending. Raises ValueError if fewer than two differ.
    """
    raw: list[float] = []
    decades: list[float] = []
    for probability, score in quantiles:
        if probability < 1.0 and (not raw or score > raw[-1]):
            raw.append(score)
            decades.append(-math.log10(1.0 - probability))
    if len(raw) < 2:  # noqa: PLR2004 - a slope takes two
        raise ValueError("a model needs at least two different quantiles of its training scores, below probability 1")
    return np.array([len(raw), *raw, *decades], dtype=np.float64)


@kernel
def table_decades(score: float, table: Floats, start: int) -> float:
    """Return minus the decimal logarithm of the share of training scores that were as high.

    Linear between the quantiles; beyond the last, with the slope from the middle of the table's decades to its end, so
    that the few windows at the very end of training do not decide alone.
    """
    k = int(table[start])
    raw, decades = start + 1, start + 1 + k
    if score <= table[raw]:
        return table[decades]
    for i in range(1, k):
        if score <= table[raw + i]:
            part = (score - table[raw + i - 1]) / (table[raw + i] - table[raw + i - 1])
            return table[decades + i - 1] + part * (table[decades + i] - table[decades + i - 1])
    last = k - 1
    middle = last - 1
    while middle > 0 and table[decades + middle] > 0.5 * table[decades + last]:
        middle -= 1
    rise = (table[decades + last] - table[decades + middle]) / (table[raw + last] - table[raw + middle])
    return min(table[decades + last] + rise * (score - table[raw + last]), _MOST_DECADES)
