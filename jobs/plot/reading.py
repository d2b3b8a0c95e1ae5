"""Curves from what backtests write: a folder with summaries and anomalies, or the CSV of a series."""

import csv
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from jobs.backtest.telemetry import read_lines
from jobs.errors import SentinelError
from jobs.plot.curve import Curve, Mark
from jobs.training.windows import read_files
from schemas.anomaly import SEVERITY_RANK, Anomaly, Severity
from schemas.summary import Summary
from schemas.time import to_at_ms

SUMMARIES, ANOMALIES = "summaries.jsonl", "anomalies.jsonl"
_COLUMNS = ("timestamp", "value")
_SECONDS_MAX = 100_000_000_000
"""Numbers below are seconds since the epoch, as far as the year 5138; from it on milliseconds, since 1973."""


def curves_of_folder(folder: Path, entity: str = "", metric: str = "", most: int = 4) -> list[Curve]:
    """Return the series of a backtest's folder: those with the most severe and most anomalies first, at most `most`.

    `entity` is a part of the entity's id or name, `metric` a name or how it begins; empty texts mean any. Raises
    SentinelError if files are missing or wrong, or nothing is left.
    """
    series: dict[tuple[str, str], list[Summary]] = {}
    names = set()
    for each in read_files([folder / SUMMARIES]):
        names.add(each.metric_name)
        is_asked = entity in each.entity.id or entity in each.entity.name
        if is_asked and each.metric_name.startswith(metric):
            series.setdefault((each.entity.id, each.metric_name), []).append(each)
    if not series:
        raise SentinelError(
            f"{folder / SUMMARIES} has no series of entity {entity!r} and metric {metric!r}; "
            f"its metrics are: {', '.join(sorted(names)) or 'none'}"
        )
    anomalies: dict[str, list[Anomaly]] = {}
    for anomaly in _anomalies(folder / ANOMALIES):
        anomalies.setdefault(anomaly.affected_entity.id, []).append(anomaly)
    curves = [_curve(points, anomalies.get(key[0], ())) for key, points in series.items()]
    # Anomalies of single calls belong to several curves; those of the curve's own metric tell most of it.
    return sorted(curves, key=lambda curve: (-_weight(curve), curve.title))[:most]


def curve_of_csv(path: Path) -> Curve:
    """Return the series of a CSV with `timestamp` and `value`, and as far as they are there `expected`, `expected_low`,
    `expected_high`, `is_anomaly` and `severity`; raises SentinelError naming file, line and problem.
    """  # noqa: D205 - the first sentence names the columns
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _curve_of_rows(path, csv.DictReader(file))
    except OSError as error:
        raise SentinelError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SentinelError(f"{path} is no CSV file: {error}") from None


def _anomalies(path: Path) -> Iterable[Anomaly]:
    for number, line in enumerate(read_lines(path), 1):
        try:
            yield msgspec.json.decode(line, type=Anomaly)
        except msgspec.MsgspecError as error:
            raise SentinelError(f"{path}, line {number} is no anomaly ({error})") from None


def _curve(points: Sequence[Summary], anomalies: Iterable[Anomaly]) -> Curve:
    points = sorted(points, key=lambda each: each.window_end)
    first = points[0]
    marks = []
    for each in anomalies:
        if each.metric == first.metric_name and each.observed is not None:
            marks.append(Mark(to_at_ms(each.timestamp), each.observed, each.severity))
        elif first.metric_name.startswith(each.metric):
            marks.append(Mark(to_at_ms(each.timestamp), math.nan, each.severity))
    return Curve(
        title=f"{first.metric_name} of {first.entity.name}, {first.window_duration}",
        unit=first.unit,
        at_ms=np.array([to_at_ms(each.window_end) for each in points], dtype=np.int64),
        value=np.array([each.value for each in points]),
        expected=_known(each.expected for each in points),
        low=_known(each.expected_low for each in points),
        high=_known(each.expected_high for each in points),
        marks=tuple(marks),
    )


def _weight(curve: Curve) -> float:
    own = [mark for mark in curve.marks if not math.isnan(mark.value)]
    return sum(1_000.0 if mark.severity is Severity.CRITICAL else 1.0 for mark in own) + 0.001 * len(curve.marks)


def _curve_of_rows(path: Path, rows: "csv.DictReader[str]") -> Curve:
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise SentinelError(f"{path} has no column {missing[0]!r}; it needs timestamp and value")
    columns: dict[str, list[float]] = {name: [] for name in ("value", "expected", "expected_low", "expected_high")}
    at_ms, marks = [], []
    for number, row in enumerate(rows, 2):
        try:
            at_ms.append(_at_ms(row["timestamp"]))
            for name, column in columns.items():
                column.append(float(row.get(name) or math.nan))
            if (row.get("is_anomaly") or "").strip().lower() in {"1", "1.0", "true"}:
                severity = Severity((row.get("severity") or "warning").strip().lower())
                marks.append(Mark(at_ms[-1], columns["value"][-1], severity))
        except (ValueError, TypeError) as error:
            raise SentinelError(f"{path}, line {number}: {error}") from None
    if not at_ms:
        raise SentinelError(f"{path} has no rows")
    order = np.argsort(np.array(at_ms, dtype=np.int64), kind="stable")
    arrays = {name: np.array(column)[order] for name, column in columns.items()}
    return Curve(
        title=path.stem,
        unit="",
        at_ms=np.array(at_ms, dtype=np.int64)[order],
        value=arrays["value"],
        expected=arrays["expected"],
        low=arrays["expected_low"],
        high=arrays["expected_high"],
        marks=tuple(sorted(marks, key=lambda mark: (mark.at_ms, SEVERITY_RANK[mark.severity]))),
    )


def _at_ms(text: str) -> int:
    """Return the time that an ISO text (UTC unless it has an offset) or a number of seconds or milliseconds means."""
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return round(number * 1000) if abs(number) < _SECONDS_MAX else round(number)


def _known(values: Iterable[float | None]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([math.nan if value is None else value for value in values])
