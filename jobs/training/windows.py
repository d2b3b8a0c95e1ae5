"""Windows: summaries of single metrics, joined into the vectors that a detector sees."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from jobs.backtest.telemetry import read_lines
from jobs.errors import SentinelError
from schemas.summary import Summary
from schemas.time import to_at_ms
from udfs.detector import Detector
from udfs.kernels import Floats, Integers


class Windows(NamedTuple):
    """What a detector saw: one row for each window of each entity that holds enough calls; by entity, then by time."""

    vectors: Floats
    """float64[n, metrics of the detector], in their units, NaN where a metric is missing."""
    volumes: Floats
    """float64[n], calls."""
    ends_at_ms: Integers
    """int64[n], ends of the windows."""
    entities: tuple[str, ...]
    """Id of each row's entity."""

    def by_entity(self) -> Iterator[tuple[str, slice]]:
        """Return each entity's id and rows."""
        start = 0
        for entity, rows in groupby(self.entities):
            end = start + len(list(rows))
            yield entity, slice(start, end)
            start = end


def read_files(paths: Iterable[Path]) -> Iterator[Summary]:
    """Return the summaries of files of JSON lines; raises SentinelError naming file, line and problem."""
    decoder = msgspec.json.Decoder(Summary)
    for path in paths:
        for number, line in enumerate(read_lines(path), 1):
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as error:
                problem = (
                    f"{path}, line {number} is not a summary ({error}); give records of sentinel.summaries, "
                    "one a line, such as summaries.jsonl of `sentinel backtest`"
                )
                raise SentinelError(problem) from None


def read_records(values: Iterable[bytes]) -> Iterator[Summary]:
    """Return the summaries of a topic; what is none is left out, since the job and nobody else writes there."""
    decoder = msgspec.json.Decoder(Summary)
    for value in values:
        try:
            yield decoder.decode(value)
        except msgspec.MsgspecError:
            continue


def join(summaries: Iterable[Summary], detector: Detector) -> Windows:
    """Return what the detector saw of the windows that summaries are of; the same window twice counts once.

    Raises SentinelError if there is none, or a metric of the detector is in no window.
    """
    places = {metric: place for place, metric in enumerate(detector.metrics)}
    seen: dict[tuple[str, int], tuple[Floats, int]] = {}
    lengths: set[str] = set()
    for each in summaries:
        lengths.add(each.window_duration)
        place = places.get(each.metric_name)
        if (
            place is None
            or each.window_duration != detector.on
            or each.entity.type.value != detector.entity
            or each.sample_count < detector.volume_min
        ):
            continue
        key = (each.entity.id, to_at_ms(each.window_end))
        vector, _ = seen.setdefault(key, (np.full(len(places), np.nan), each.sample_count))
        vector[place] = each.value
    if not seen:
        problem = (
            f"there is no summary for detector {detector.detector_id!r}: it sees windows of {detector.on} of "
            f"{detector.entity} with at least {detector.volume_min:g} calls; the summaries are of "
            f"{', '.join(sorted(lengths)) or 'nothing'} (detection.summaries in the job's configuration)"
        )
        raise SentinelError(problem)
    keys = sorted(seen)
    vectors = np.array([seen[key][0] for key in keys])
    missing = [metric for place, metric in enumerate(detector.metrics) if np.isnan(vectors[:, place]).all()]
    if missing:
        problem = (
            f"no summary has {missing[0]}, which detector {detector.detector_id!r} watches: train where it is "
            "measured, or leave it out of the detector's metrics"
        )
        raise SentinelError(problem)
    volumes = np.array([float(seen[key][1]) for key in keys])
    ends_at_ms = np.array([end for _, end in keys], dtype=np.int64)
    return Windows(vectors, volumes, ends_at_ms, tuple(entity for entity, _ in keys))
