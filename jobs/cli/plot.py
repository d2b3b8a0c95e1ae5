"""The command that draws series."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jobs.errors import SentinelError
from jobs.plot.drawing import draw
from jobs.plot.reading import curve_of_csv, curves_of_folder
from schemas.time import to_at_ms


def plot(
    sources: Annotated[
        list[Path],
        typer.Argument(help="The folder of `sentinel backtest telemetry --out`, or CSV files of `backtest series`."),
    ],
    out: Annotated[Path, typer.Option(help="The picture to write, .png or .svg.")],
    entity: Annotated[str, typer.Option(help="Only entities with this in their id or name.")] = "",
    metric: Annotated[str, typer.Option(help="Only metrics of this name, or whose names begin so.")] = "",
    begin: Annotated[str | None, typer.Option("--from", help="From this time on, RFC 3339.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Before this time, RFC 3339.")] = None,
    most: Annotated[
        int, typer.Option(min=1, max=20, help="Panels of a folder: the series with the most severe anomalies first.")
    ] = 4,
) -> None:
    """Draw series with the range that was expected and the anomalies found in them."""
    curves = [
        curve
        for source in sources
        for curve in (curves_of_folder(source, entity, metric, most) if source.is_dir() else [curve_of_csv(source)])
    ]
    shown = [curve.between(_time(begin), _time(end)) for curve in curves]
    empty = [curve.title for curve in shown if not len(curve.at_ms)]
    if empty:
        raise SentinelError(f"{empty[0]} has no values between {begin or 'its begin'} and {end or 'its end'}")
    draw(shown, out)
    console = Console(highlight=False, soft_wrap=True)
    for curve in shown:
        console.print(f"{curve.title}: {len(curve.at_ms)} values, {len(curve.marks)} anomalies", markup=False)
    console.print(str(out), markup=False)


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return to_at_ms(text)
    except ValueError:
        raise SentinelError(f"{text!r} is no RFC 3339 time; write it as 2026-11-24T09:30:00Z") from None
