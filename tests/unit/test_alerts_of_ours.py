"""Alerts of anomalies and incidents: the same labels for the same trouble, an end when it ends, words for people."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.anomaly import Anomaly, Severity
from schemas.incident import Incident, IncidentStatus
from schemas.time import to_at_ms
from udfs.alerting.alert import fingerprint
from udfs.alerting.from_anomaly import AlertLinks, alert_name, alerts_of_anomaly
from udfs.alerting.from_incident import alerts_of_incident

WIRE = Path(__file__).parents[1] / "golden" / "wire"
ANOMALY = msgspec.json.decode((WIRE / "anomaly.latency.v1-0.json").read_bytes(), type=Anomaly)
INCIDENT = msgspec.structs.replace(
    msgspec.json.decode((WIRE / "incident.open.v1-0.json").read_bytes(), type=Incident),
    opened_at="2026-11-24T09:31:00.000Z",
    updated_at="2026-11-24T09:34:00.000Z",
    expires_at="2026-11-24T09:49:00.000Z",
)
NOW_MS = to_at_ms("2026-11-24T09:34:01.000Z")
REPLACE = msgspec.structs.replace


def test_repeated_telling_is_the_same_alert() -> None:
    later = REPLACE(ANOMALY, anomaly_id="another", timestamp="2026-11-24T09:32:00.000Z", observed=9_999.0)
    first, second = (alerts_of_anomaly(each, NOW_MS)[0] for each in (ANOMALY, later))
    assert fingerprint(first.labels) == fingerprint(second.labels)
    assert first.annotations["observed"] != second.annotations["observed"]


def test_anomaly_says_what_a_person_needs() -> None:
    firing, *_ = alerts_of_anomaly(ANOMALY, NOW_MS, AlertLinks(anomaly="https://s.example.org/a/{id}"))
    assert firing.labels == {
        "alertname": "LlmLatencyAnomaly",
        "sentinel_source": "anomaly",
        "severity": "critical",
        "tenant_id": "acme",
        "application_id": "checkout",
        "provider": "openai",
        "model": "gpt-4o",
        "detector_id": "latency-shift",
        "detector_type": "statistical",
        "metric": "latency_ms_p95",
        "entity": "model/acme/checkout/openai/gpt-4o",
        "entity_type": "model",
    }
    said = firing.annotations
    assert said["summary"] == "Latency (p95) of gpt-4o in checkout: 4.5 s instead of about 1 s"
    assert said["observed"] == "4.5 s in 212 calls"
    assert said["expected"] == "about 1 s (from 700 ms up to 1.3 s)"
    assert said["since"] == "2026-11-24 09:30:00 UTC"
    assert said["entities"] == "model gpt-4o of openai, application checkout, tenant acme"
    assert said["what_to_do"].startswith("Compare other applications on the same provider")
    assert said["link"] == firing.generator_url == f"https://s.example.org/a/{ANOMALY.anomaly_id}"
    assert firing.ends_at_ms is None


def test_more_severe_anomaly_ends_the_less_severe_alert() -> None:
    warning, *_ = alerts_of_anomaly(REPLACE(ANOMALY, severity=Severity.WARNING), NOW_MS)
    ended = {fingerprint(each.labels): each for each in alerts_of_anomaly(ANOMALY, NOW_MS)[1:]}
    assert ended[fingerprint(warning.labels)].ends_at_ms == NOW_MS
    assert ended[fingerprint(warning.labels)].annotations["summary"].startswith("Goes on as critical: ")


def test_less_severe_anomaly_leaves_the_more_severe_alert_alone() -> None:
    critical, *_ = alerts_of_anomaly(ANOMALY, NOW_MS)
    others = alerts_of_anomaly(REPLACE(ANOMALY, severity=Severity.WARNING), NOW_MS)
    assert fingerprint(critical.labels) not in {fingerprint(each.labels) for each in others}


def test_incident_fires_until_it_would_close_by_itself() -> None:
    firing, *_ = alerts_of_incident(INCIDENT, NOW_MS)
    assert firing.ends_at_ms == NOW_MS + 15 * 60_000
    assert firing.labels["alertname"] == "LlmIncident"
    assert firing.labels["provider"] == "openai"


def test_closed_incident_resolves_its_alert() -> None:
    firing, *_ = alerts_of_incident(INCIDENT, NOW_MS)
    closed = REPLACE(INCIDENT, status=IncidentStatus.CLOSED, closed_at="2026-11-24T09:40:00.000Z", revision=5)
    now_ms = to_at_ms("2026-11-24T09:40:02.000Z")
    ended, *others = alerts_of_incident(closed, now_ms)
    assert fingerprint(ended.labels) == fingerprint(firing.labels)
    assert ended.ends_at_ms == to_at_ms("2026-11-24T09:40:00.000Z")
    assert [each.ends_at_ms for each in others] == [ended.ends_at_ms] * 2


@given(severities=st.lists(st.sampled_from(Severity), min_size=1, max_size=6))
def test_one_severity_of_an_incident_fires_at_a_time(severities: list[Severity]) -> None:
    active: dict[str, bool] = {}
    for step, severity in enumerate(severities):
        now_ms = NOW_MS + step * 1_000
        for alert in alerts_of_incident(REPLACE(INCIDENT, severity=severity, revision=step + 1), now_ms):
            active[fingerprint(alert.labels)] = alert.ends_at_ms is not None and alert.ends_at_ms > now_ms
        assert sum(active.values()) == 1


def test_labels_of_an_incident_outlive_its_growth() -> None:
    grown = REPLACE(INCIDENT, anomaly_count=50, metrics=("error_rate",), entities=(), revision=7, title="Grown")
    first, second = (alerts_of_incident(each, NOW_MS)[0] for each in (INCIDENT, grown))
    assert fingerprint(first.labels) == fingerprint(second.labels)


def test_incident_of_a_user_names_application_and_user() -> None:
    firing, *_ = alerts_of_incident(REPLACE(INCIDENT, scope="user:check%2Fout/u%3A1"), NOW_MS)
    assert (firing.labels["application_id"], firing.labels["user_id"]) == ("check/out", "u:1")


def test_incident_of_operators_has_no_tenant() -> None:
    firing, *_ = alerts_of_incident(REPLACE(INCIDENT, tenant_id=None), NOW_MS)
    assert "tenant_id" not in firing.labels


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("latency_ms_p95", "LlmLatencyAnomaly"),
        ("error_rate", "LlmErrorRateAnomaly"),
        ("cost_usd_per_s", "LlmCostAnomaly"),
        ("calls_per_s", "LlmCallsAnomaly"),
        ("prompt_tokens_mean", "LlmPromptTokensAnomaly"),
        ("combination", "LlmBehaviourAnomaly"),
        ("", "LlmBehaviourAnomaly"),
    ],
)
def test_alert_name_is_the_metric_without_unit(metric: str, name: str) -> None:
    assert alert_name(metric) == name
