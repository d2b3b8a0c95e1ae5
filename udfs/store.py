"""Store: the detectors of one kind of observation, with the state of every key they watch."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.anomaly import Entity, EntityType
from udfs.baseline import FLAG_WIDTH, judge
from udfs.entity import entity_of
from udfs.series_state import Block, Layout, SeriesState
from udfs.statistical import AnyDetector

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Flag(Struct, frozen=True):
    """One observation that a detector has something to say about."""

    detector: AnyDetector
    observation: int
    metric: str
    raw_score: float
    is_high: bool
    rank: int
    """1 warning, 2 critical."""
    observed: float
    expected: float
    low: float
    high: float
    samples: int
    volume: int


class Store:
    """Detectors that watch one kind of entity on one kind of observation."""

    def __init__(
        self,
        on: str,
        kind: EntityType,
        detectors: Iterable[AnyDetector],
        stored: Iterable[tuple[str, bytes]],
        extra: Sequence[Block] = (),
    ) -> None:
        """Take what is observed, the detectors of it, everything stored, and blocks of state that others use."""
        self.kind = kind
        self.detectors = tuple(each for each in detectors if each.on == on and each.entity == kind.value)
        self.state = SeriesState(
            f"{on}/{kind.value}",
            Layout(
                [*extra, *(Block(each.detector_id, each.state_version, each.state_width) for each in self.detectors)]
            ),
            stored,
        )
        self._parameters = [each.parameters() for each in self.detectors]

    def entity(self, row: int) -> Entity:
        """Return the entity of a row."""
        return entity_of(self.kind, self.state.keys[row])

    def observe(
        self, rows: Integers, at_ms: Integers, columns: dict[str, Floats], volumes: Floats
    ) -> Iterator[tuple[AnyDetector, list[Flag], Floats]]:
        """Let every detector score and learn observations, in order.

        Returns for each detector its flags, and what it expected: float64[n, metrics, 3], value, low and high.
        """
        for detector, parameters in zip(self.detectors, self._parameters, strict=True):
            values = np.column_stack([columns[metric] for metric in detector.metrics])
            flags = np.empty((values.size, FLAG_WIDTH))
            bands = np.empty((*values.shape, 3))
            count = judge(
                self.state.values,
                self.state.layout.offsets[detector.detector_id],
                rows,
                at_ms,
                values,
                volumes,
                parameters,
                flags,
                bands,
            )
            yield detector, [_flag(detector, flags[i]) for i in range(count)], bands


def _flag(detector: AnyDetector, row: Floats) -> Flag:
    return Flag(
        detector=detector,
        observation=int(row[0]),
        metric=detector.metrics[int(row[1])],
        raw_score=float(row[2]),
        is_high=row[3] > 0,
        rank=int(row[4]),
        observed=float(row[5]),
        expected=float(row[6]),
        low=float(row[7]),
        high=float(row[8]),
        samples=int(row[9]),
        volume=int(row[10]),
    )
