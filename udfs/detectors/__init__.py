"""Detectors: one file each, and the union of them all, which is the registry and decodes by the tag `type`."""

from collections.abc import Iterable, Sequence
from functools import reduce
from importlib.metadata import entry_points
from operator import or_
from typing import Any

import msgspec

from schemas.yaml_document import read_yaml
from udfs.detector import Detector
from udfs.detectors.autoencoder import Autoencoder
from udfs.detectors.cusum import Cusum
from udfs.detectors.error_burst import ErrorBurst
from udfs.detectors.error_rate import ErrorRate
from udfs.detectors.habit import Habit
from udfs.detectors.hotelling import Hotelling
from udfs.detectors.isolation_forest import IsolationForest
from udfs.detectors.moving_average import MovingAverage
from udfs.detectors.no_data import NoData
from udfs.detectors.novelty import Novelty
from udfs.detectors.percentile_band import PercentileBand
from udfs.detectors.robust_zscore import RobustZScore
from udfs.detectors.runaway_user import RunawayUser
from udfs.detectors.zscore import ZScore

PLUGIN_GROUP = "llm_sentinel.detectors"
"""Entry point group in which an installed package names its own subclasses of `Detector`."""

AnyDetector = (
    ZScore
    | RobustZScore
    | PercentileBand
    | MovingAverage
    | Cusum
    | ErrorRate
    | ErrorBurst
    | RunawayUser
    | Habit
    | NoData
    | Novelty
    | Hotelling
    | IsolationForest
    | Autoencoder
)
"""The detectors that come with the product."""

BUILT_IN: tuple[type[Detector], ...] = AnyDetector.__args__


def installed_detectors(own: Iterable[type[Detector]] = ()) -> tuple[type[Detector], ...]:
    """Return the built-in types of detectors, those of installed plug-ins, and `own` ones from files.

    Raises ValueError, naming the plug-in, if what it names is no detector or takes the tag of another.
    """
    found = list(BUILT_IN)
    for entry_point in sorted(entry_points(group=PLUGIN_GROUP), key=lambda each: each.name):
        named = entry_point.load()
        if not (isinstance(named, type) and issubclass(named, Detector)):
            raise ValueError(  # noqa: TRY004 one kind of error for whatever is wrong with a plug-in
                f"plug-in {entry_point.name!r}: {entry_point.value} is no subclass of udfs.detector.Detector"
            )
        _add(named, entry_point.name, found)
    for each in own:
        _add(each, each.__name__, found)
    return tuple(found)


def _add(detector: type[Detector], name: str, found: list[type[Detector]]) -> None:
    if _tag(detector) in map(_tag, found):
        raise ValueError(
            f"plug-in {name!r}: there is already a detector of type {_tag(detector)!r}; choose another tag"
        )
    found.append(detector)


def union_of(detectors: Sequence[type[Detector]]) -> Any:
    """Return the union of types of detectors, to decode with."""
    return reduce(or_, detectors)


def read_detectors(document: bytes | str, detectors: Sequence[type[Detector]] = BUILT_IN) -> tuple[Detector, ...]:
    """Return the detectors of a YAML list. Raises ValueError with a sentence that says where and what is wrong."""
    try:
        read: tuple[Detector, ...] = msgspec.convert(read_yaml(document), tuple[union_of(detectors), ...])  # type: ignore[misc]
    except ValueError as error:
        raise ValueError(f"the list of detectors is wrong: {' '.join(str(error).split())}") from None
    identifiers = [each.detector_id for each in read]
    repeated = sorted({each for each in identifiers if identifiers.count(each) > 1})
    if repeated:
        raise ValueError(f"the list of detectors is wrong: two of them have the detector_id {repeated[0]!r}")
    return read


def _tag(detector: type[Detector]) -> str:
    return str(detector.__struct_config__.tag)
