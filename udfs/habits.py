"""Habits: what each call says of the application's and the user's habits, as columns for their detectors."""

from zlib import crc32

import numpy as np

from udfs.detectors.habit import value_of
from udfs.entity import SEPARATOR, application_key
from udfs.kernels import Floats, Integers
from udfs.series_state import KeyColumn, SeriesState

_HOUR_MS = 3_600_000
_HOURS = np.array([value_of(hour) for hour in range(24)])


class Habits:
    """What follows from the row of a call's model: its application's row, and the code of the model."""

    def __init__(self, models: SeriesState, applications: SeriesState) -> None:
        """Take the states of models, whose rows are given, and of applications, whose rows are wanted."""
        self._applications = applications
        self._codes = KeyColumn(models, _codes)
        self._application_rows = KeyColumn(models, self._rows_of_applications, applications)

    def rows(self, models: Integers) -> Integers:
        """Return the rows of the applications of models, made as needed; they count as touched."""
        rows = self._application_rows.at(models)
        self._applications.touch(rows)
        return rows

    def kinds(self, models: Integers, at_ms: Integers) -> Floats:
        """Return float64[n, 2], the metrics of `udfs.aggregates.CATEGORIES`: model and hour of the day, UTC."""
        return np.column_stack([self._codes.at(models), _HOURS[at_ms // _HOUR_MS % 24]])

    def _rows_of_applications(self, models: list[str]) -> Integers:
        return self._applications.rows([application_key(*key.split(SEPARATOR)[2:]) for key in models])


def _codes(models: list[str]) -> list[float]:
    names = (SEPARATOR.join(key.split(SEPARATOR)[:2]) for key in models)
    return [value_of(crc32(name.encode())) for name in names]
