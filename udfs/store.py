"""Store: the detectors of one kind of observation, with the state of every key they watch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from schemas.anomaly import Entity, EntityType
from schemas.model import PublishedModel
from udfs.decision import LAST_AT
from udfs.detector import Detector
from udfs.driver import Driver
from udfs.entity import entity_of
from udfs.flags import Flags
from udfs.kernels import Floats, Integers
from udfs.series_state import Block, Layout, Segment, SeriesState


class Flag(NamedTuple):
    """One thing that a detector has to say."""

    detector: Detector
    observation: int
    """Position in the batch; of a silence, the row of the key."""
    metric: str
    """Empty if it is about all metrics of the detector together."""
    at_ms: int
    raw_score: float
    score: float
    side: int
    rank: int
    """1 warning, 2 critical."""
    observed: float
    expected: float
    low: float
    high: float
    samples: int
    volume: int
    contributions: dict[str, float]
    version: str
    """Of the detector, or of the model it scored with."""


class Store:
    """Detectors that watch one kind of entity on one kind of observation."""

    def __init__(
        self,
        on: str,
        kind: EntityType,
        names: Sequence[str],
        detectors: Iterable[Detector],
        stored: Iterable[tuple[int, Segment]],
        extra: Sequence[Block] = (),
    ) -> None:
        """Take what is observed, the names of its values, all detectors, all that is stored, and others' blocks.

        Raises ValueError if a detector watches a metric that is not among the names.
        """
        self.kind = kind
        self.drivers = [Driver(each, names) for each in detectors if each.on == on and each.entity == kind.value]
        blocks = [block for driver in self.drivers for block in driver.blocks]
        self.state = SeriesState(f"{on}/{kind.value}", Layout([*extra, *blocks]), stored)
        self._last_at = [self.state.layout.offsets[block.owner] + LAST_AT for block in blocks]
        self._forget_ms = max((driver.detector.forget_ms for driver in self.drivers), default=0)

    def entity(self, row: int) -> Entity:
        """Return the entity of a row."""
        return entity_of(self.kind, self.state.keys[row])

    def observe(
        self,
        rows: Integers,
        at_ms: Integers,
        values: Floats,
        volumes: Floats,
        expected: dict[str, Floats] | None = None,
    ) -> Iterator[Flag]:
        """Let every detector score and learn observations, in order, and return what they have to say.

        `values` is float64[n, names]. `expected`, if given, receives for each metric that is judged by itself the
        value, low and high end that its first detector expected, float64[n, 3], NaN while it warms up.
        """
        for driver in self.drivers:
            detector, bands = driver.detector, None
            if expected is not None and detector.form == "series" and not set(detector.metrics) <= expected.keys():
                bands = np.empty((len(rows), len(detector.metrics), 3))
            yield from _flags(
                driver, driver.run(self.state.values, self._column(driver), rows, at_ms, values, volumes, bands)
            )
            if bands is not None and expected is not None:
                for j, metric in enumerate(detector.metrics):
                    expected.setdefault(metric, bands[:, j])

    def silences(self, at_ms: int) -> Iterator[Flag]:
        """Return the silences that have become too long when event time has come to the end of a window."""
        for driver in self.drivers:
            if driver.detector.form == "silence":
                flags = driver.silences(self.state.values, self._column(driver), len(self.state), at_ms)
                self.state.touch(flags.i.tolist())
                yield from _flags(driver, flags)

    def take_models(self, models: Mapping[str, Sequence[PublishedModel]]) -> None:
        """Hand every detector the models it is to hold, by its id. Raises ValueError if one does not fit."""
        for driver in self.drivers:
            if driver.detector.needs_model:
                driver.take(models.get(driver.detector.detector_id, ()))

    def forget_idle(self, at_ms: int) -> None:
        """Drop keys that every detector would begin again with, were they seen now."""
        if self._last_at and len(self.state):
            newest = self.state.values[: len(self.state), self._last_at].max(axis=1)
            self.state.forget(np.flatnonzero(newest < at_ms - self._forget_ms).tolist())

    def _column(self, driver: Driver) -> int:
        return self.state.layout.offsets[driver.blocks[0].owner]


def _flags(driver: Driver, flags: Flags) -> Iterator[Flag]:
    detector = driver.detector
    for k in range(len(flags)):
        j = int(flags.j[k])
        yield Flag(
            detector=detector,
            observation=int(flags.i[k]),
            metric=detector.metrics[j] if j >= 0 else "",
            at_ms=int(flags.at_ms[k]),
            raw_score=float(flags.raw_score[k]),
            score=float(flags.score[k]),
            side=int(flags.side[k]),
            rank=int(flags.severity[k]),
            observed=float(flags.observed[k]),
            expected=float(flags.expected[k]),
            low=float(flags.low[k]),
            high=float(flags.high[k]),
            samples=int(flags.samples[k]),
            volume=int(flags.volume[k]),
            contributions=dict(zip(detector.metrics, flags.contributions[k].tolist(), strict=False)),
            version=driver.version_at(int(flags.at_ms[k])),
        )
