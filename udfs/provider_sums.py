"""Provider sums: a shard's closed windows by tenant and provider, its part of the windows that span shards."""

from collections.abc import Mapping

import numpy as np

from udfs.aggregates import MAXIMA
from udfs.entity import SEPARATOR
from udfs.kernels import Floats, Integers
from udfs.moved import Part, added
from udfs.series_state import KeyColumn, SeriesState
from udfs.spanning import SharedWindow

_MAXIMA = list(MAXIMA)


class ProviderSums:
    """Knows the tenant and provider of each row of a state of models."""

    def __init__(self, models: SeriesState) -> None:
        """Take the state whose rows the windows name."""
        self._names: list[tuple[str, str]] = []
        self._number: dict[tuple[str, str], int] = {}
        self._numbers = KeyColumn(models, lambda keys: [self._number_of(key) for key in keys])

    def add_up(
        self, rows: Integers, end_ms: Integers, aggregates: Floats, parts: Mapping[int, list[Part]]
    ) -> list[SharedWindow]:
        """Return 10 s windows added up by end, tenant and provider, with their far parts.

        `rows` int64[n] are those of the windows' models, `aggregates` float64[n, len(AGGREGATES)]; `parts` are by
        place.
        """
        if not len(rows):
            return []
        numbers = self._numbers.at(rows)
        order = np.lexsort((numbers, end_ms))
        is_first = np.diff(end_ms[order], prepend=-1) != 0
        is_first |= np.diff(numbers[order], prepend=-1) != 0
        first = np.flatnonzero(is_first)
        counts = aggregates[order]
        sums = np.add.reduceat(counts, first, axis=0)
        sums[:, _MAXIMA] = np.maximum.reduceat(counts[:, _MAXIMA], first, axis=0)
        group = np.empty_like(order)
        group[order] = np.cumsum(is_first) - 1
        far: dict[int, list[Part]] = {}
        for place, own in parts.items():
            far.setdefault(int(group[place]), []).extend(own)
        shared = []
        for each, (start, total) in enumerate(zip(order[first].tolist(), sums.tolist(), strict=True)):
            tenant, provider = self._names[numbers[start]]
            shared.append(SharedWindow(int(end_ms[start]), tenant, provider, total, added(far.get(each, ()))))
        return shared

    def _number_of(self, key: str) -> int:
        """Return the number of a model's tenant and provider in `_names`."""
        provider, _, tenant, _ = key.split(SEPARATOR)
        number = self._number.setdefault((tenant, provider), len(self._names))
        if number == len(self._names):
            self._names.append((tenant, provider))
        return number
