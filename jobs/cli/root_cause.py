"""The command that ranks the components of a call graph by how likely they are the cause of a symptom."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from jobs.errors import SentinelError
from jobs.root_cause.files import read_graph, read_metrics
from jobs.score.table import report_console
from schemas.time import from_at_ms, to_at_ms
from udfs.root_cause import Metrics, Suspect, Symptom, most_changed_metric, most_changed_time, suspects

_STATISTIC = "Average"


def root_cause(
    metrics: Annotated[Path, typer.Argument(help="CSV with metrics of every component around the symptom.")],
    graph: Annotated[Path, typer.Option(help="CSV of who calls whom, a square of 0 and 1.")],
    target: Annotated[
        str, typer.Option(help="Where it was felt: a component, or COMPONENT,METRIC or COMPONENT,METRIC,STATISTIC.")
    ],
    at: Annotated[
        str | None, typer.Option(help="When, RFC 3339 or Unix seconds; by default when the target was farthest off.")
    ] = None,
    normal: Annotated[Path | None, typer.Option(help="CSV with the same metrics while all was well.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Components to print.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """Say which component most likely made another one slow or failing."""
    measured, calls = read_metrics(metrics), read_graph(graph)
    usual = read_metrics(normal) if normal else None
    try:
        symptom = _symptom(measured, usual, target, at)
        found = suspects(measured, calls, symptom, usual)
    except ValueError as error:
        raise SentinelError(f"{metrics}: {error}") from None
    if as_json:
        print(json.dumps([_plain(place, each) for place, each in enumerate(found[:most], 1)], indent=2))
        return
    console = report_console()
    where = f"{symptom.metric} {symptom.statistic} of {symptom.component} at {from_at_ms(symptom.at_ms)}"
    console.print(f"Where it began: {where}", markup=False)
    console.print(_table(found[:most]))


def _symptom(measured: Metrics, usual: Metrics | None, target: str, at: str | None) -> Symptom:
    component, metric, statistic = (*(part.strip() for part in target.split(",")), "", "")[:3]
    components = sorted({key[0] for key in measured.series})
    if component not in components:
        raise ValueError(f"there is no component {component!r}; there are {', '.join(components)}")
    statistic = statistic or _STATISTIC
    at_ms = _at_ms(at) if at else None
    if not metric:
        if at_ms is None:
            raise ValueError(f"say when by --at, or in which metric: --target {component},METRIC")
        metric = most_changed_metric(measured, component, statistic, at_ms, usual)
    if at_ms is None:
        at_ms = most_changed_time(measured, component, metric, statistic)
    return Symptom(component, metric, statistic, at_ms)


def _at_ms(text: str) -> int:
    try:
        return round(float(text) * 1000)
    except ValueError:
        pass
    try:
        return to_at_ms(text)
    except ValueError:
        raise SentinelError(f"--at {text!r} is neither an RFC 3339 time nor a number of Unix seconds") from None


def _table(found: list[Suspect]) -> Table:
    table = Table()
    for column in ("", "component", "share", "before", "during", "its own change"):
        table.add_column(column)
    for place, each in enumerate(found, 1):
        figures = (f"{each.before:.4g}", f"{each.during:.4g}", f"{each.own:.4g}")
        table.add_row(str(place), each.component, f"{each.share:.0%}", *figures)
    return table


def _plain(place: int, suspect: Suspect) -> dict[str, object]:
    figures = {
        name: None if value != value else value  # noqa: PLR0124 - what is not a number has no place in JSON
        for name, value in suspect._asdict().items()
    }
    return {"rank": place, **figures}
