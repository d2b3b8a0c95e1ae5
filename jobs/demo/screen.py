"""Screen: a demonstration for people to watch, live on a terminal and in plain lines elsewhere."""

import time
from collections import Counter, deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from jobs.demo.scene import Scene
from jobs.score.table import scope_text
from schemas.anomaly import Anomaly, Severity
from schemas.incident import Incident, IncidentStatus
from schemas.time import from_at_ms

_LATEST = 8
_LINE_EVERY_S = 10.0
_STYLES = {Severity.INFO: "dim", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}


class Screen:
    """Shows where in event time the replay is, what is planted, and what is found.

    Incidents and faults are lines that stay, an incident's again when it becomes more severe. On a terminal the latest
    anomalies scroll below them; elsewhere the first of each kind (detector, entity, metric) is a line.
    """

    def __init__(self, console: Console, scene: Scene) -> None:
        self.console = console
        self._start_at_ms = scene.start_at_ms
        self._coming = deque(sorted(scene.planted, key=lambda fault: fault.start_at_ms))
        self._latest: deque[Anomaly] = deque(maxlen=_LATEST)
        self._counts: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._told_s = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.fields[at]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[events]:,} events"),
            console=console,
        )
        length_ms = scene.end_at_ms - scene.start_at_ms
        self._task = self._bar.add_task("replay", total=length_ms, at=_clock(scene.start_at_ms), events=0)
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            # The table and the sentences that follow are what remains.
            self._live.update(Text(""))
            self._live.stop()

    def advance(self, at_ms: int, events: int) -> None:
        """Show that the replay has come to a time."""
        while self._coming and self._coming[0].start_at_ms <= at_ms:
            fault = self._coming.popleft()
            line = f"{_clock(fault.start_at_ms)}  planted   {fault.kind} {fault.magnitude:g}: {scope_text(fault.scope)}"
            self.console.print(Text(line, "cyan"), soft_wrap=True)
        self._bar.update(self._task, completed=at_ms - self._start_at_ms, at=_clock(at_ms), events=events)
        if self._live is not None:
            self._live.update(self._picture())
        elif time.monotonic() - self._told_s >= _LINE_EVERY_S:
            self._told_s = time.monotonic()
            self.say(f"{_clock(at_ms)}  {self._bar.tasks[0].percentage:.0f} %, {events:,} events, {self._totals()}")

    def show(self, found: Anomaly | Incident) -> None:
        """Show something that was found."""
        if isinstance(found, Incident):
            self._show_incident(found)
            return
        self._counts["anomalies"] += 1
        self._latest.append(found)
        if self._live is None and found.fingerprint not in self._seen:
            self._seen.add(found.fingerprint)
            self.console.print(_anomaly_line(found), soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(Text(text), soft_wrap=True)

    def _show_incident(self, incident: Incident) -> None:
        key = f"{incident.incident_id}/{incident.severity}"
        if key in self._seen or incident.status is not IncidentStatus.OPEN:
            return
        is_new = not any(f"{incident.incident_id}/{each}" in self._seen for each in Severity)
        self._seen.add(key)
        self._counts["incidents"] += is_new
        whose = incident.tenant_id or "operators"
        words = f"{incident.severity} {incident.severity_score:.0f}"
        line = f"{_clock_of(incident.updated_at)}  incident  {words:<12}  {whose}: {incident.title}"
        self.console.print(Text(line, _STYLES[incident.severity]), soft_wrap=True)

    def _picture(self) -> RenderableType:
        table = Table.grid()
        for anomaly in self._latest:
            table.add_row(_anomaly_line(anomaly))
        return Group(Text(""), table, self._bar, Text(self._totals()))

    def _totals(self) -> str:
        return f"{self._counts['anomalies']} anomalies, {self._counts['incidents']} incidents"


def _anomaly_line(anomaly: Anomaly) -> Text:
    line = f"{_clock_of(anomaly.timestamp)}  anomaly   {anomaly.severity:<12}  {anomaly.detector_id}: {anomaly.title}"
    return Text(line, _STYLES[anomaly.severity], no_wrap=True, overflow="ellipsis")


def _clock(at_ms: int) -> str:
    return _clock_of(from_at_ms(at_ms))


def _clock_of(instant: str) -> str:
    return instant[11:19]
