"""Growth: what an incident keeps of much evidence, and how often it tells."""

import pytest

from schemas.incident import Incident, IncidentStatus
from tests.script import START_AT_MS, World, anomaly


def outage(applications: int) -> tuple[World, Incident]:
    """Return the world after an outage over some applications, and the incident it left."""
    world = World()
    for number in range(applications):
        world.send(anomaly(number * 10, f"app{number}", "error_rate", "critical", trace=f"trace{number}"))
    world.pass_time(START_AT_MS + 60_000)
    (standing,) = [each for each in world.incidents().values() if each.status is IncidentStatus.OPEN]
    return world, standing


def test_incident_lists_at_most_50_anomalies_and_entities_but_counts_all() -> None:
    world, incident = outage(200)
    assert incident.anomaly_count == 200
    assert len(incident.entities) == 50
    # 25 first ones and 25 strongest ones; all are as strong, so that ids decide.
    assert 25 <= len(incident.anomaly_ids) <= 50
    assert len(incident.trace_ids) == 20
    assert "at least 50 applications" in incident.title
    # The opening, 47 entities more, what is told after ten seconds, and nothing for the rest.
    assert incident.revision <= 50
    assert len([each for each in world.outputs if isinstance(each, Incident)]) <= 50 + 4


def test_contributors_are_shares_of_all_evidence_strongest_first() -> None:
    _, incident = outage(200)
    assert sum(incident.contributors.values()) == pytest.approx(1.0, abs=1e-3)
    # Twenty of 200 equal ones have a tenth of the evidence.
    assert incident.contributors["others"] == pytest.approx(0.9, abs=1e-3)
    assert len(incident.contributors) == 21


def test_first_and_strongest_anomalies_are_listed() -> None:
    world = World()
    for number in range(100):
        score = "1" if number == 90 else "0"
        world.send(anomaly(number * 100, metric="error_rate", severity="critical", score=score, id=f"a{number}"))
    world.pass_time(START_AT_MS + 30_000)
    (incident,) = world.incidents().values()
    assert {"a0", "a24", "a90"} <= set(incident.anomaly_ids)


def test_news_of_known_entities_is_told_every_ten_seconds_of_event_time() -> None:
    world = World()
    for second in range(0, 60, 2):
        world.send(anomaly(second * 1_000, metric="error_rate", severity="critical"))
        world.pass_time(START_AT_MS + second * 1_000)
    told = [each.updated_at for each in world.outputs if isinstance(each, Incident)]
    # At once, then at 10 s, 20 s, ... 50 s.
    assert [each[17:19] for each in told] == ["00", "10", "20", "30", "40", "50"]


def test_rise_of_severity_is_told_at_once() -> None:
    world = World()
    world.send(anomaly(0))
    world.send(anomaly(1_000, metric="error_rate"))
    world.send(anomaly(2_000, metric="error_rate", severity="critical"))
    told = [each.severity for each in world.outputs if isinstance(each, Incident)]
    assert told == ["warning", "critical"]


def test_late_news_told_at_once_does_not_hurry_other_news() -> None:
    world = World()
    world.send(anomaly(100_000, severity="critical"))
    world.send(anomaly(60_000, metric="error_rate", severity="critical"))
    world.send(anomaly(101_000, severity="critical"))
    assert len([each for each in world.outputs if isinstance(each, Incident)]) == 2


def test_score_keeps_its_peak() -> None:
    """Two witnesses who seem independent turn out to speak of one call, which a stronger one knows: no step back."""
    world = World()
    world.send(anomaly(0, "a1", "error_rate", level="1m", score="0.2", provider="p1"))
    world.send(anomaly(1, "a1", "latency_ms_p95", score="0.1", trace="t", provider="p1"))
    scores = [each.severity_score for each in world.outputs if isinstance(each, Incident)]
    assert len(scores) == 1
    world.send(anomaly(2, "a1", "error_rate", level="1m", score="0.5", trace="t", provider="p1", detector="ewma"))
    world.pass_time(START_AT_MS + 60_000)
    (incident,) = world.incidents().values()
    assert incident.severity_score >= scores[0]


def test_information_counts_but_keeps_nothing_alive() -> None:
    world = World()
    world.send(anomaly(0, severity="critical"))
    for minute in range(1, 6):
        world.send(anomaly(minute * 60_000, metric="latency_ms_mean", severity="info"))
    (incident,) = world.incidents().values()
    assert incident.updated_at == "2027-01-15T08:00:00.000Z"
    world.pass_time(START_AT_MS + 330_000)
    (incident,) = world.incidents().values()
    assert incident.anomaly_count == 6
    assert incident.closed_at == "2027-01-15T08:05:30.000Z"


def test_repeats_are_a_tenth_of_the_evidence() -> None:
    world = World()
    world.send(anomaly(0, "a", severity="critical"))
    world.send(anomaly(1, "a", severity="critical", model="other"))
    for number in range(2, 12):
        world.send(anomaly(number, "a", severity="critical"))
    world.pass_time(START_AT_MS + 60_000)
    (incident,) = world.incidents().values()
    # 1 + 10 * 0.1 of 3 for the one that repeats itself ten times.
    assert sorted(incident.contributors.values()) == pytest.approx([1 / 3, 2 / 3], abs=1e-3)


def test_endless_trouble_is_cut_after_four_hours() -> None:
    world = World()
    for minute in range(0, 241, 4):
        world.pass_time(START_AT_MS + minute * 60_000)
        world.send(anomaly(minute * 60_000, severity="critical"))
    world.pass_time(START_AT_MS + 240 * 60_000)
    first, *_ = world.incidents().values()
    assert first.opened_at == "2027-01-15T08:00:00.000Z"
    assert first.closed_at == "2027-01-15T12:00:00.000Z"


def test_incident_begins_at_most_a_quarter_of_an_hour_before_it_opens() -> None:
    world = World()
    for minute in range(60):
        world.send(anomaly(minute * 60_000))
    world.send(anomaly(60 * 60_000, metric="error_rate"))
    (incident,) = world.incidents().values()
    assert incident.opened_at >= "2027-01-15T08:45:00.000Z"


def test_orphan_expires_by_itself_for_readers() -> None:
    world = World()
    world.send(anomaly(0, severity="critical"))
    (incident,) = world.incidents().values()
    # It closes after 5 min and half a minute of grace; readers that hear nothing of it wait 5 min more.
    assert incident.expires_at == "2027-01-15T08:10:30.000Z"
    assert incident.closed_at is None
    world.pass_time(START_AT_MS + 330_000)
    (incident,) = world.incidents().values()
    assert incident.closed_at == incident.expires_at == "2027-01-15T08:05:30.000Z"
