"""Habits: what each call says of the application's and the user's habits, as columns for their detectors."""

from zlib import crc32

import numpy as np

from udfs.detectors.habit import value_of
from udfs.entity import SEPARATOR, application_key
from udfs.kernels import Floats, Integers
from udfs.series_state import SeriesState

_HOUR_MS = 3_600_000
_HOURS = np.array([value_of(hour) for hour in range(24)])


class Habits:
    """What follows from the row of a call's model: its application's row, and the code of the model."""

    def __init__(self, models: SeriesState, applications: SeriesState) -> None:
        """Take the states of models, whose rows are given, and of applications, whose rows are wanted."""
        self._models = models
        self._applications = applications
        self._begin()

    def _begin(self) -> None:
        self._generations = self._models.generation, self._applications.generation
        self._codes: Floats = np.empty(0)
        self._application_rows: Integers = np.empty(0, dtype=np.int64)

    def rows(self, models: Integers) -> Integers:
        """Return the rows of the applications of models, made as needed; they count as touched."""
        if self._generations != (self._models.generation, self._applications.generation):
            self._begin()
        new = self._models.keys[len(self._application_rows) :]
        if new:
            found = self._applications.rows([application_key(*key.split(SEPARATOR)[2:]) for key in new])
            self._application_rows = np.concatenate([self._application_rows, found])
        rows = self._application_rows[models]
        self._applications.touch(rows)
        return rows

    def kinds(self, models: Integers, at_ms: Integers) -> Floats:
        """Return float64[n, 2], the metrics of `udfs.aggregates.CATEGORIES`: model and hour of the day, UTC."""
        if self._generations[0] != self._models.generation:
            self._begin()
        new = self._models.keys[len(self._codes) :]
        if new:
            names = (SEPARATOR.join(key.split(SEPARATOR)[:2]) for key in new)
            self._codes = np.concatenate([self._codes, [value_of(crc32(name.encode())) for name in names]])
        return np.column_stack([self._codes[models], _HOURS[at_ms // _HOUR_MS % 24]])
