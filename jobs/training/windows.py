"""Windows: summaries of single metrics, joined into the vectors that a detector sees."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from jobs.backtest.telemetry import read_lines
from jobs.errors import SentinelError
from schemas.summary import Summary
from schemas.time import to_at_ms
from udfs.detector import Detector
from udfs.kernels import Floats


class Windows(NamedTuple):
    """What a detector saw: one row for each window of each entity that holds enough calls."""

    vectors: Floats
    """float64[n, metrics of the detector], in their units, NaN where a metric is missing; ordered by window, entity."""
    from_at_ms: int
    """End of the first window."""
    to_at_ms: int
    """End of the last."""
    entities: int


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


def by_window(summaries: Iterable[Summary], detector: Detector) -> dict[tuple[int, str], Floats]:
    """Return what the detector saw of each window, by its end and the entity's id: float64[metrics of the detector].

    A metric that is missing is NaN; the same window twice counts once. Raises SentinelError if there is none.
    """
    columns = {metric: place for place, metric in enumerate(detector.metrics)}
    rows: dict[tuple[int, str], Floats] = {}
    lengths: set[str] = set()
    for each in summaries:
        lengths.add(each.window_duration)
        place = columns.get(each.metric_name)
        if (
            place is None
            or each.window_duration != detector.on
            or each.entity.type.value != detector.entity
            or each.sample_count < detector.volume_min
        ):
            continue
        key = (to_at_ms(each.window_end), each.entity.id)
        row = rows.setdefault(key, np.full(len(columns), np.nan))
        row[place] = each.value
    if not rows:
        problem = (
            f"there is no summary for detector {detector.detector_id!r}: it sees windows of {detector.on} of "
            f"{detector.entity} with at least {detector.volume_min:g} calls; the summaries are of "
            f"{', '.join(sorted(lengths)) or 'nothing'} (detection.summaries in the job's configuration)"
        )
        raise SentinelError(problem)
    return rows


def join(summaries: Iterable[Summary], detector: Detector) -> Windows:
    """Return what the detector saw of the windows that summaries are of; the same window twice counts once.

    Raises SentinelError if there is none, or a metric of the detector is in no window.
    """
    rows = by_window(summaries, detector)
    keys = sorted(rows)
    vectors = np.array([rows[key] for key in keys])
    missing = [metric for place, metric in enumerate(detector.metrics) if np.isnan(vectors[:, place]).all()]
    if missing:
        problem = (
            f"no summary has {missing[0]}, which detector {detector.detector_id!r} watches: train where it is "
            "measured, or leave it out of the detector's metrics"
        )
        raise SentinelError(problem)
    return Windows(vectors, keys[0][0], keys[-1][0], len({entity for _, entity in keys}))
