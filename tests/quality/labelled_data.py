"""Labelled series of the development data: NAB, the KPI series of AIOps 2018, Microsoft's cloud monitoring series."""

import csv
import gzip
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.backtest.series_file import read_series
from udfs.kernels import Floats, Integers

Labels = NDArray[np.int64]


class Labelled(NamedTuple):
    """One series with what its publisher says is anomalous."""

    name: str
    """Of a set with categories `category/file`."""
    at_ms: Integers
    values: Floats
    labels: Labels
    """int64[n]: 1 where anomalous."""
    spans: tuple[tuple[int, int], ...] = ()
    """NAB's windows: first and last row of each."""

    @property
    def category(self) -> str:
        """The folder of the file, or the name itself."""
        return self.name.partition("/")[0]


def nab(root: Path) -> list[Labelled]:
    """Return NAB's series; rows in a window are labelled 1."""
    folder = root / "nab"
    found = []
    for name, windows in sorted(json.loads((folder / "combined_windows.json").read_bytes()).items()):
        file = read_series(folder / "data" / name)
        labels = np.zeros(len(file.numbers), dtype=np.int64)
        spans = []
        for first, last in windows:
            start_ms, end_ms = (np.datetime64(text, "ms").astype(np.int64) for text in (first, last))
            inside = np.flatnonzero((file.at_ms >= start_ms) & (file.at_ms <= end_ms))
            spans.append((int(inside[0]), int(inside[-1])))
            labels[inside[0] : inside[-1] + 1] = 1
        found.append(Labelled(name, file.at_ms, file.numbers, labels, tuple(sorted(spans))))
    return found


def kpi(root: Path) -> list[Labelled]:
    """Return the KPI series, of which the second half is the test half."""
    return [_labelled(path, path.name.partition(".")[0]) for path in sorted((root / "aiops_kpi").glob("*.csv.gz"))]


def cloud(root: Path) -> list[Labelled]:
    """Return Microsoft's cloud monitoring series."""
    folder = root / "ms_cloud_monitoring" / "data"
    return [_labelled(path, path.relative_to(folder).as_posix()) for path in sorted(folder.glob("*/*.csv"))]


def _labelled(path: Path, name: str) -> Labelled:
    file = read_series(path)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8-sig") as text:
        rows = csv.reader(text)
        column = [each.lower() for each in next(rows)].index("label")
        labels = np.array([int(float(row[column])) for row in rows if row], dtype=np.int64)
    return Labelled(name, file.at_ms, file.numbers, labels)
