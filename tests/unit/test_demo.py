"""The demonstration's parts that need no stack: what is played, and what is shown where there is no terminal."""

from io import StringIO

from msgspec.structs import replace
from rich.console import Console

from jobs.demo.scene import APPLICATIONS, TAIL_MS, default_scene
from jobs.demo.screen import Screen
from jobs.replay.faults import FaultKind
from schemas.anomaly import Severity
from schemas.incident import Incident, IncidentStatus
from schemas.telemetry import EventType
from tests.script import START_AT_MS, anomaly
from udfs.detectors.defaults import default_detectors

SCENE = default_scene(seed=1, start_at_ms=START_AT_MS, duration_ms=600_000)


def incident(severity: Severity, *, revision: int = 1, status: IncidentStatus = IncidentStatus.OPEN) -> Incident:
    at = anomaly(0).timestamp
    return Incident(
        incident_id="i",
        tenant_id="acme",
        scope="application:checkout",
        status=status,
        severity=severity,
        severity_score=70.0,
        title="Application checkout: unusual errors",
        description="",
        opened_at=at,
        updated_at=at,
        expires_at=at,
        revision=revision,
        anomaly_count=1,
        anomaly_ids=("a",),
    )


def test_scene_plants_every_kind_of_fault_on_a_dozen_applications() -> None:
    assert {fault.kind for fault in SCENE.planted} == set(FaultKind)
    assert len(SCENE.world.applications) == APPLICATIONS


def test_end_of_a_scene_is_too_short_to_be_taken_for_silence() -> None:
    least_ms = min(getattr(each, "least_ms", TAIL_MS * 10) for each in default_detectors())
    assert least_ms > TAIL_MS
    *_, last = SCENE.records(partitions=2)
    assert last.due_ms > SCENE.start_at_ms + SCENE.duration_ms + TAIL_MS - 1_000
    assert EventType.METRIC.value.encode() in last.value


def test_without_a_terminal_everything_new_is_one_plain_line() -> None:
    written = StringIO()
    first = replace(anomaly(0), fingerprint="f")
    with Screen(Console(file=written, width=60), SCENE) as screen:
        screen.show(first)
        screen.show(replace(anomaly(10_000), fingerprint="f"))
        screen.show(incident(Severity.WARNING))
        screen.show(incident(Severity.WARNING, revision=2))
        screen.show(incident(Severity.CRITICAL, revision=3))
        screen.show(incident(Severity.CRITICAL, revision=4, status=IncidentStatus.CLOSED))
        screen.advance(SCENE.planted[0].start_at_ms, 1)
    kinds = [line.split()[1] for line in written.getvalue().splitlines()]
    assert kinds == ["anomaly", "incident", "incident", "planted"]
    assert "\x1b" not in written.getvalue()
