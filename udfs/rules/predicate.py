"""Predicate: a condition over the columns of a batch. What is not there makes neither true nor false (Kleene 1938)."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce

import numpy as np
from numpy.typing import NDArray

from schemas.rule import All, Any, Condition, Not, Operator, Pattern, Threshold
from udfs.kernels import Floats

Truth = NDArray[np.bool_]
Texts = Callable[[str], Sequence[str | None]]
"""Returns the column of a text field; asked for only if a rule looks at it."""

_COMPARE: dict[Operator, Callable[[Floats, float], Truth]] = {
    Operator.GT: np.greater,
    Operator.GE: np.greater_equal,
    Operator.LT: np.less,
    Operator.LE: np.less_equal,
    Operator.EQ: np.equal,
    Operator.NE: np.not_equal,
}


class Columns:
    """A batch: `values` float64[n, names] with NaN where missing, and text fields."""

    def __init__(self, names: Sequence[str], values: Floats, texts: Texts | None = None) -> None:
        """Take the columns; without `texts` there are no text fields."""
        self.values = values
        self._names = names
        self._texts = texts
        self._known: dict[str, Sequence[str | None]] = {}

    def __len__(self) -> int:
        return len(self.values)

    def metric(self, name: str) -> Floats:
        """Return the column of a metric."""
        return self.values[:, self._names.index(name)]

    def text(self, name: str) -> Sequence[str | None]:
        """Return the column of a text field, None where it is missing."""
        if name not in self._known:
            self._known[name] = self._texts(name) if self._texts is not None else [None] * len(self)
        return self._known[name]


def holds(condition: Condition, columns: Columns) -> Truth:
    """Return where a condition is true, bool[n]."""
    return _evaluate(condition, columns)[0]


def deciding(condition: Condition, columns: Columns, at: int) -> tuple[Threshold, float] | None:
    """Return the first threshold that is met in one row, and the value that meets it; None if none is."""
    if isinstance(condition, Threshold):
        value = float(columns.metric(condition.metric)[at])
        return (condition, value) if bool(holds(condition, columns)[at]) else None
    if isinstance(condition, All | Any):
        for part in condition.of:
            found = deciding(part, columns, at)
            if found is not None:
                return found
    return None


def _evaluate(condition: Condition, columns: Columns) -> tuple[Truth, Truth]:
    """Return where a condition is true and where it is false."""
    if isinstance(condition, Threshold):
        column = columns.metric(condition.metric)
        present = ~np.isnan(column)
        compared = _COMPARE[condition.operator](column, condition.value) & present
        return compared, present & ~compared
    if isinstance(condition, Pattern):
        found = [_matches(condition.regex, text) for text in columns.text(condition.field)]
        return np.array([each is True for each in found], dtype=np.bool_), np.array(
            [each is False for each in found], dtype=np.bool_
        )
    if isinstance(condition, Not):
        true, false = _evaluate(condition.of, columns)
        return false, true
    parts = [_evaluate(part, columns) for part in condition.of]
    trues, falses = [true for true, _ in parts], [false for _, false in parts]
    if isinstance(condition, All):
        return reduce(np.logical_and, trues), reduce(np.logical_or, falses)
    return reduce(np.logical_or, trues), reduce(np.logical_and, falses)


@lru_cache(maxsize=4_096)
def _matches(regex: str, text: str | None) -> bool | None:
    """Texts of one field are few and repeat."""
    return None if text is None else re.search(regex, text) is not None
