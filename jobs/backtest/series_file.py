"""Series files: CSV with a time and a number in each row, read into arrays and written back with verdicts."""

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from jobs.errors import SentinelError
from udfs.kernels import Floats, Integers
from udfs.series import Verdicts

COLUMNS = ("timestamp", "value")
VERDICT_COLUMNS = ("anomaly_score", "is_anomaly", "severity", "expected", "expected_low", "expected_high")
SEVERITIES = ("none", "warning", "critical")

BACKWARDS_MS = 2 * 3_600_000
"""How far a row may be behind the newest: clocks are set back by an hour in autumn, and records come a little late."""

_MISSING = {"", "na", "n/a", "nan", "null", "none"}
# Numbers below are seconds, numbers above milliseconds: the year 5138 and the year 1973.
_MILLISECONDS_FROM = 1e11
_FIRST_AT_MS, _LAST_AT_MS = -62_135_596_800_000, 253_402_300_799_999


class SeriesFile(NamedTuple):
    """The rows of a file in their order: texts as they stand there, and what they mean."""

    timestamps: list[str]
    values: list[str]
    at_ms: Integers
    """int64[n], milliseconds since the epoch; times without a zone are taken as UTC."""
    numbers: Floats
    """float64[n], NaN where a value is missing."""


def read_series(path: Path) -> SeriesFile:
    """Return a file's rows, unpacked if its name ends in .gz.

    Raises SentinelError, naming file and line, if it cannot be read, lacks a column, or holds a time or number that is
    none, or a row more than BACKWARDS_MS behind an earlier one.
    """
    timestamps: list[str] = []
    values: list[str] = []
    at_ms: list[int] = []
    numbers: list[float] = []
    try:
        with _opened(path, "r") as file:
            rows = csv.reader(file)
            time_column, value_column = _columns(path, next(rows, []))
            newest = _FIRST_AT_MS
            for row in rows:
                if not row:
                    continue
                place = f"{path}, line {rows.line_num}"
                if len(row) <= max(time_column, value_column):
                    raise SentinelError(f"{place} has {len(row)} columns, fewer than the header")
                timestamp, value = row[time_column], row[value_column]
                at = _at_ms(place, timestamp)
                if newest - at > BACKWARDS_MS:
                    raise SentinelError(
                        f"{place}: {timestamp} is more than two hours before an earlier row; sort the file by timestamp"
                    )
                newest = max(newest, at)
                timestamps.append(timestamp)
                values.append(value)
                at_ms.append(at)
                numbers.append(_number(place, value))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise SentinelError(f"cannot read {path}: {error}") from None
    return SeriesFile(timestamps, values, np.array(at_ms, dtype=np.int64), np.array(numbers, dtype=np.float64))


def write_verdicts(path: Path, series: SeriesFile, verdicts: Verdicts) -> None:
    """Write each row with its verdict, packed if the name ends in .gz. Raises SentinelError if that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(path, "w") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow((*COLUMNS, *VERDICT_COLUMNS))
            columns = zip(
                series.timestamps,
                series.values,
                verdicts.score.tolist(),
                verdicts.rank.tolist(),
                verdicts.band.tolist(),
                strict=True,
            )
            rows.writerows(
                (timestamp, value, f"{score:.9g}", int(rank > 0), SEVERITIES[rank], *map(_text, band))
                for timestamp, value, score, rank, band in columns
            )
    except OSError as error:
        raise SentinelError(f"cannot write {path}: {error.strerror}") from None


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[IO[str]]:
    if path.suffix == ".gz":
        with gzip.open(path, f"{mode}t", encoding="utf-8-sig" if mode == "r" else "utf-8", newline="") as packed:
            yield packed  # type: ignore[misc]
    else:
        with path.open(mode, encoding="utf-8-sig" if mode == "r" else "utf-8", newline="") as plain:
            yield plain


def _columns(path: Path, header: list[str]) -> tuple[int, int]:
    names = [name.strip().lower() for name in header]
    for column in COLUMNS:
        if column not in names:
            raise SentinelError(f"{path} has no column {column!r}; its first line must name the columns")
    return names.index(COLUMNS[0]), names.index(COLUMNS[1])


def _at_ms(place: str, text: str) -> int:
    at_ms: float
    try:
        number = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise SentinelError(
                f"{place}: {text!r} is no time; give ISO 8601, or seconds or milliseconds since 1970"
            ) from None
        at_ms = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000.0
    else:
        at_ms = number if abs(number) >= _MILLISECONDS_FROM else number * 1000.0
    if not _FIRST_AT_MS <= at_ms <= _LAST_AT_MS:
        raise SentinelError(f"{place}: {text!r} is no time between the years 1 and 9999")
    return round(at_ms)


def _number(place: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        if text.strip().lower() in _MISSING:
            return np.nan
        raise SentinelError(f"{place}: the value {text!r} is no number") from None


def _text(number: float) -> str:
    return "" if number != number else f"{number:.9g}"  # noqa: PLR0124 - NaN
