"""Files about the components of a system: their metrics, and who calls whom."""

import csv
import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jobs.errors import SentinelError
from udfs.root_cause import Key, Metrics

_HEADER = ("microservice", "metric", "statistic")


def read_metrics(path: Path) -> Metrics:
    """Return the metrics of a CSV, gzip if its name ends in .gz; raises SentinelError naming file, line and problem.

    Three lines give component, metric and statistic of each column, under `microservice`, `metric` and `statistic`;
    under `unix_timestamp` follow the intervals: seconds since the epoch, and a number or nothing for each column.
    """
    with _rows(path) as rows:
        header = [next(rows, []) for _ in _HEADER]
        for number, (line, name) in enumerate(zip(header, _HEADER, strict=True), 1):
            if not line or line[0].strip() != name or len(line) != len(header[0]):
                raise SentinelError(f"{path}, line {number} must begin with {name!r} and name every column")
        keys: list[Key] = list(zip(*(line[1:] for line in header), strict=True))
        times: list[float] = []
        values: list[list[float]] = []
        for number, row in enumerate(rows, len(_HEADER) + 1):
            if not row or row[0].strip() == "unix_timestamp":
                continue
            try:
                times.append(float(row[0]))
                values.append([float(cell) if cell.strip() else math.nan for cell in row[1:]])
            except ValueError as error:
                raise SentinelError(f"{path}, line {number}: {error}") from None
            if len(values[-1]) != len(keys):
                raise SentinelError(f"{path}, line {number} has {len(values[-1])} values for {len(keys)} columns")
    if not times:
        raise SentinelError(f"{path} has no intervals")
    order = np.argsort(np.array(times), kind="stable")
    at_ms = np.rint(np.array(times)[order] * 1000).astype(np.int64)
    table = np.array(values, dtype=np.float64).reshape(len(times), len(keys))[order]
    return Metrics(at_ms, {key: table[:, place] for place, key in enumerate(keys)})


def read_graph(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the callees of each component, from a square CSV with names in its first line and column.

    A number other than 0 means that the component of the line calls that of the column. Raises SentinelError.
    """
    with _rows(path) as rows:
        names = next(rows, [])[1:]
        if not names:
            raise SentinelError(f"{path} names no components in its first line")
        calls = {}
        for number, row in enumerate(rows, 2):
            try:
                called = [float(cell or 0) != 0.0 for cell in row[1:]]
                calls[row[0]] = tuple(name for name, is_called in zip(names, called, strict=True) if is_called)
            except (ValueError, IndexError):
                problem = f"{path}, line {number} must have a name and {len(names)} numbers"
                raise SentinelError(problem) from None
    return calls


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[list[str]]]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="") as file
        ):
            yield csv.reader(file)
    except OSError as error:
        raise SentinelError(f"cannot read {path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, EOFError, csv.Error) as error:
        raise SentinelError(f"{path} is no CSV file: {error}") from None
