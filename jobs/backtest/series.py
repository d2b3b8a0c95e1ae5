"""Series of any origin, CSV, through the detector of series: one after the other, one pass each."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from jobs.backtest.series_file import read_series, write_verdicts
from jobs.errors import SentinelError
from udfs.series import SeriesWatch

SUFFIXES = (".csv", ".csv.gz")


class SeriesResult(Struct, frozen=True, kw_only=True):
    """What was found in one file."""

    source: Path
    rows: int
    missing: int
    """Rows without a number; they have score 0."""
    anomalies: int
    critical: int


def backtest(sources: Iterable[Path], out: Path) -> Iterator[SeriesResult]:
    """Judge files, and write for each a CSV of the same name below `out`.

    A folder stands for all CSV files in it, whose places below it are kept. Raises SentinelError if a file cannot be
    read or judged, or if two of them would be written to the same place or over themselves.
    """
    places = _places(sources, out)
    for target, source in places.items():
        series = read_series(source)
        verdicts = SeriesWatch().judge(series.at_ms, series.numbers)
        write_verdicts(target, series, verdicts)
        yield SeriesResult(
            source=source,
            rows=len(series.timestamps),
            missing=int((series.numbers != series.numbers).sum()),
            anomalies=int(verdicts.is_anomaly.sum()),
            critical=int((verdicts.rank > 1).sum()),
        )


def _places(sources: Iterable[Path], out: Path) -> dict[Path, Path]:
    places: dict[Path, Path] = {}
    for source in sources:
        found = (
            sorted(each for each in source.rglob("*") if each.name.endswith(SUFFIXES)) if source.is_dir() else [source]
        )
        if not found:
            raise SentinelError(f"{source} holds no file that ends in .csv or .csv.gz")
        for each in found:
            target = out / (each.relative_to(source) if source.is_dir() else each.name)
            if target in places:
                raise SentinelError(f"{each} and {places[target]} would both be written to {target}")
            if target.resolve() == each.resolve():
                raise SentinelError(f"{each} would be written over itself; give another folder with --out")
            places[target] = each
    return places
