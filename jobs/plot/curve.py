"""Curve: one series as it is drawn."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from schemas.anomaly import Severity
from udfs.kernels import Floats, Integers

POINTS_MAX = 4_000
"""Points that a picture can show side by side; of longer series the extremes are drawn."""


class Mark(NamedTuple):
    """One anomaly: when, how high (NaN if it is about something else than the curve's values), how severe."""

    at_ms: int
    value: float
    severity: Severity


class Curve(NamedTuple):
    """A series: arrays of one length, in order of time, NaN where something is not known."""

    title: str
    unit: str
    at_ms: Integers
    value: Floats
    expected: Floats
    low: Floats
    high: Floats
    marks: tuple[Mark, ...] = ()

    def between(self, from_at_ms: int | None, to_at_ms: int | None) -> "Curve":
        """Return the part from a time on, before another one."""
        start = 0 if from_at_ms is None else int(np.searchsorted(self.at_ms, from_at_ms))
        end = len(self.at_ms) if to_at_ms is None else int(np.searchsorted(self.at_ms, to_at_ms))
        kept = self._rows(np.arange(start, max(start, end)))
        is_within = [
            (from_at_ms is None or mark.at_ms >= from_at_ms) and (to_at_ms is None or mark.at_ms < to_at_ms)
            for mark in self.marks
        ]
        return kept._replace(marks=tuple(mark for mark, within in zip(self.marks, is_within, strict=True) if within))

    def thinned(self, points_max: int = POINTS_MAX) -> "Curve":
        """Return a curve of so many points at most, with the smallest and the largest value of each stretch."""
        count = len(self.at_ms)
        if count <= points_max:
            return self
        edges = np.linspace(0, count, points_max // 2 + 1).astype(np.int64)
        rows: list[int] = []
        for start, end in pairwise(edges.tolist()):
            part = self.value[start:end]
            if np.isnan(part).all():
                rows.append(start)
            else:
                rows += [start + int(np.nanargmin(part)), start + int(np.nanargmax(part))]
        return self._rows(np.unique(np.array(rows, dtype=np.int64)))

    def _rows(self, rows: Integers) -> "Curve":
        return self._replace(
            at_ms=self.at_ms[rows],
            value=self.value[rows],
            expected=self.expected[rows],
            low=self.low[rows],
            high=self.high[rows],
        )
