"""The commands that take verdicts on anomalies and say what follows from them."""

import getpass
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from jobs.backtest.control import in_force
from jobs.backtest.telemetry import read_lines
from jobs.detection.settings import JobSettings, load
from jobs.feedback import keeping
from jobs.feedback.effect import Effect, effect
from jobs.feedback.giving import meant, verdict_on
from jobs.records import read_values
from jobs.rules.files import read_rules
from jobs.score.table import report_console
from jobs.stack.layout import default_home
from jobs.stack.stack import Stack
from jobs.topics import ANOMALIES
from jobs.training.files import read_model
from udfs.detector import Detector
from udfs.feedback import LEAST_VERDICTS, PRECISION_GOAL, Proposal, Standing, propose, standings

feedback = typer.Typer(
    no_args_is_help=True,
    help="Say which anomalies were true, and see what follows; docs/feedback.md says what for.",
)

Ids = Annotated[list[str], typer.Argument(help="anomaly_id of each anomaly, or how it begins.")]
Note = Annotated[str, typer.Option(help="Why, for those who read it later.")]
Servers = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka; by default the broker that `sentinel up` started.")
]
FeedbackFile = Annotated[Path | None, typer.Option("--feedback", help="Keep verdicts in this file, not in Kafka.")]
AnomalyFile = Annotated[
    Path | None,
    typer.Option("--anomalies", help="Look the anomalies up in this file of `sentinel backtest`."),
]


@feedback.command("true")
def found_true(
    anomaly_ids: Ids,
    note: Note = "",
    anomalies: AnomalyFile = None,
    kept_in: FeedbackFile = None,
    bootstrap_servers: Servers = None,
) -> None:
    """Say that there was something to know."""
    _give("true", anomaly_ids, note, anomalies, kept_in, bootstrap_servers)


@feedback.command("false")
def found_false(
    anomaly_ids: Ids,
    note: Note = "",
    anomalies: AnomalyFile = None,
    kept_in: FeedbackFile = None,
    bootstrap_servers: Servers = None,
) -> None:
    """Say that it was a false alarm."""
    _give("false", anomaly_ids, note, anomalies, kept_in, bootstrap_servers)


@feedback.command()
def report(
    telemetry: Annotated[
        Path | None,
        typer.Option(help="Recorded telemetry, as for `sentinel backtest`, to try proposals on."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration of the detection job; by default the default.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Rules that hold in the trial.")] = None,
    models: Annotated[list[Path] | None, typer.Option(help="A model that holds in the trial; may be repeated.")] = None,
    goal: Annotated[float, typer.Option(min=0.0, max=1.0, help="Precision that is asked for.")] = PRECISION_GOAL,
    kept_in: FeedbackFile = None,
    bootstrap_servers: Servers = None,
) -> None:
    """Print the precision of every detector, propose thresholds where it is too low, and try them on telemetry."""
    given = keeping.read(kept_in) if kept_in else keeping.published(_servers(bootstrap_servers))
    settings = (load(config) if config else JobSettings()).detection
    known = {each.detector_id: each for each in settings.detectors}
    console = report_console()
    standing = standings(given)
    console.print(_precision_table(standing, goal))
    proposals = []
    for each in standing:
        if not each.is_below(goal):
            continue
        detector = known.get(each.detector_id)
        proposal = propose(detector, given, goal) if detector else None
        console.print(_advice(each, detector, proposal, goal), markup=False)
        if proposal:
            proposals.append(proposal)
    if proposals and telemetry is None:
        console.print("Give recorded telemetry by --telemetry to see what this would have changed.", markup=False)
    elif proposals and telemetry is not None:
        control = in_force(read_rules(rules) if rules else (), map(read_model, models or ()), settings.detectors)
        console.print(_effect_table(effect(telemetry, settings, control, proposals, given), telemetry))


def _give(
    verdict: Literal["true", "false"],
    anomaly_ids: list[str],
    note: str,
    anomalies: Path | None,
    kept_in: Path | None,
    bootstrap_servers: str | None,
) -> None:
    if anomalies:
        values, where = list(read_lines(anomalies)), str(anomalies)
    else:
        values, where = list(read_values(_servers(bootstrap_servers), ANOMALIES.name)), ANOMALIES.name
    now_ms = int(time.time() * 1000)
    given = [
        verdict_on(meant(values, each, where), verdict, note=note, given_by=getpass.getuser(), now_ms=now_ms)
        for each in anomaly_ids
    ]
    if kept_in:
        keeping.append(kept_in, given)
    else:
        keeping.publish(_servers(bootstrap_servers), given)
    console = Console(highlight=False, soft_wrap=True)
    for each in given:
        console.print(f"{verdict}: {each.anomaly_id} of {each.detector_id}", markup=False)


def _precision_table(standing: list[Standing], goal: float) -> Table:
    table = Table(title=f"Precision of detectors, by verdicts on their anomalies (goal {goal:.0%})")
    for column in ("detector", "true", "false", "precision", ""):
        table.add_column(column)
    for each in standing:
        says = "below the goal" if each.is_below(goal) else ""
        if each.verdicts < LEAST_VERDICTS:
            says = f"fewer than {LEAST_VERDICTS} verdicts"
        table.add_row(each.detector_id, str(each.true), str(each.false), f"{each.precision:.1%}", says)
    return table


def _advice(standing: Standing, detector: Detector | None, proposal: Proposal | None, goal: float) -> str:
    name = standing.detector_id
    if detector is None:
        return f"{name}: not a detector of this configuration; if it is a rule, change its condition."
    if proposal is None:
        return f"{name}: no threshold reaches {goal:.0%}: false alarms score as high as true ones; watch other metrics."
    before, after = proposal.before, proposal.after
    critical = "" if proposal.detector.critical == detector.critical else f", critical {proposal.detector.critical:g}"
    return (
        f"{name}: proposed warning {proposal.detector.warning:g} in place of {detector.warning:g}{critical}; it would "
        f"have kept {after.true} of {before.true} true and {after.false} of {before.false} false anomalies "
        f"(precision {before.precision:.1%} to {after.precision:.1%})."
    )


def _effect_table(effects: Effect, telemetry: Path) -> Table:
    table = Table(title=f"The proposals tried on {telemetry}: as it is, and with all of them")
    for column in ("", "before", "after"):
        table.add_column(column)
    for name, (before, after) in effects.by_detector.items():
        table.add_row(f"{name}: anomalies", str(before.anomalies), str(after.anomalies))
        table.add_row("  found true", str(before.true), str(after.true))
        table.add_row("  found false", str(before.false), str(after.false))
    table.add_row("incidents", *map(str, effects.incidents))
    table.add_row("  critical", *map(str, effects.critical_incidents))
    return table


def _servers(given: str | None) -> str:
    return given or Stack(default_home()).bootstrap_servers
