"""Table: a score for people to read."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from jobs.replay.faults import Scope
from jobs.score.score import LEAST_PRECISION, Finding, Score
from schemas.anomaly import Severity

MAX_LISTED = 10
REPORT_WIDTH = 160
"""Columns that the table needs; what is no terminal has them."""


def score_table(score: Score) -> RenderableType:
    """Return the table of the planted faults, what was told without one, and the verdict."""
    table = Table(title="Planted faults")
    for column in ("planted fault", "scope", "planted as", "found", "delay", "severity", "incident"):
        table.add_column(column, overflow="fold")
    for finding in score.findings:
        table.add_row(*_row(finding))
    return Group(table, *(Text(line) for line in _lines(score)))


def report_console() -> Console:
    """Return a console that is wide enough for the table where no terminal says how wide it is."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, width=REPORT_WIDTH)


def scope_text(scope: Scope) -> str:
    """Return the parts of a scope that are given."""
    return " ".join(part for part in (getattr(scope, name) for name in scope.__struct_fields__) if part)


def delay_text(delay_ms: int | None) -> str:
    """Return a delay in seconds."""
    return "-" if delay_ms is None else f"{delay_ms / 1000:.1f} s"


def _row(finding: Finding) -> tuple[str, ...]:
    found = "yes" if finding.is_found else "no" if finding.delay_ms is None else "anomaly only"
    fault, incident = finding.fault, finding.incident
    return (
        f"{fault.kind} {fault.magnitude:g}",
        scope_text(fault.scope),
        fault.severity,
        found,
        delay_text(finding.delay_ms),
        f"{incident.severity} {incident.severity_score:.0f}" if incident else "-",
        incident.incident_id[:8] if incident else "-",
    )


def _lines(score: Score) -> list[str]:
    false = score.false_incidents
    alarms = f"{len(false)} of {score.incidents} incidents, {score.false_criticals} of them critical"
    lines = [f"False alarms: {alarms} (precision {score.precision:.1%})."]
    lines += [f"  {each.opened_at}  {each.severity}  {each.title}" for each in false[:MAX_LISTED]]
    if len(false) > MAX_LISTED:
        lines.append(f"  and {len(false) - MAX_LISTED} more")
    strays = score.stray_anomalies
    critical = sum(each.severity is Severity.CRITICAL for each in strays)
    lines.append(
        f"Anomalies without a planted cause, most of which made no alarm: {len(strays)} of {score.anomalies}, "
        f"{critical} of them critical."
    )
    verdict = "passed" if score.is_passed else "failed"
    lines.append(
        f"Verdict: {verdict} (every fault planted as critical found, precision at least {LEAST_PRECISION:.0%}, no "
        "false critical alarm)."
    )
    return lines
