"""The score of a run: found faults, delays, false alarms and the verdict, against a truth of known shape."""

import json
from pathlib import Path

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli.backtest import backtest
from jobs.cli.replay import replay
from jobs.errors import SentinelError
from jobs.replay.faults import EXPECTED_SEVERITY, TOUCHED_METRICS, FaultKind, Scope
from jobs.replay.truth import PlantedFault
from jobs.score.evidence import GRACE_MS, is_consequence, is_sign, is_touched
from jobs.score.files import read_truth
from jobs.score.score import score
from schemas.anomaly import Anomaly, Severity
from schemas.incident import Incident, IncidentStatus
from schemas.time import from_at_ms
from tests.script import START_AT_MS, anomaly

CHECKOUT = Scope(tenant_id="acme", application_id="checkout", provider="openai", model="gpt-4o")
BEGIN_MS, END_MS = 600_000, 720_000


def planted(kind: FaultKind = FaultKind.COST, scope: Scope = CHECKOUT) -> PlantedFault:
    return PlantedFault(
        fault_id=f"001-{kind}",
        kind=kind,
        scope=scope,
        start_at_ms=START_AT_MS + BEGIN_MS,
        end_at_ms=START_AT_MS + END_MS,
        magnitude=5.0,
        severity=EXPECTED_SEVERITY[kind],
        metrics=TOUCHED_METRICS[kind],
        calls_per_min=60.0,
    )


def incident(
    identifier: str, *anomalies: Anomaly, severity: Severity = Severity.CRITICAL, revision: int = 1
) -> Incident:
    at = anomalies[0].timestamp
    return Incident(
        incident_id=identifier,
        tenant_id="acme",
        scope="application:checkout",
        status=IncidentStatus.OPEN,
        severity=severity,
        severity_score=90.0,
        title="",
        description="",
        opened_at=at,
        updated_at=at,
        expires_at=at,
        revision=revision,
        anomaly_count=len(anomalies),
        anomaly_ids=tuple(each.anomaly_id for each in anomalies),
    )


def test_fault_with_an_incident_is_found_after_its_first_sign() -> None:
    first, second = anomaly(BEGIN_MS + 12_000, metric="cost_usd_mean"), anomaly(BEGIN_MS + 40_000, metric="cost_usd")
    result = score([planted()], [second, first], [incident("i", second)])
    [finding] = result.findings
    assert finding.is_found
    assert finding.delay_ms == 12_000
    assert finding.severity is Severity.CRITICAL
    assert result.precision == 1.0
    assert result.is_passed


def test_anomaly_that_made_no_incident_finds_no_fault() -> None:
    result = score([planted()], [anomaly(BEGIN_MS + 12_000, metric="cost_usd_mean")], [])
    assert not result.findings[0].is_found
    assert result.findings[0].delay_ms == 12_000
    assert not result.is_passed


def test_fault_planted_as_a_warning_may_be_missed() -> None:
    assert score([planted(FaultKind.LATENCY)], [], []).is_passed


def test_what_tells_of_another_metric_is_a_consequence_but_no_sign() -> None:
    other = anomaly(BEGIN_MS + 12_000, metric="latency_ms_mean")
    assert is_consequence(planted(), other)
    assert not is_sign(planted(), other)
    result = score([planted()], [other], [incident("i", other)])
    assert not result.findings[0].is_found
    assert not result.false_incidents


def test_combination_shows_what_it_rests_on_most() -> None:
    both = msgspec.structs.replace(
        anomaly(BEGIN_MS, metric="combination"), contributors={"cost_usd_mean": 0.7, "latency_ms_mean": 0.3}
    )
    assert is_sign(planted(), both)
    assert not is_sign(planted(FaultKind.LATENCY), both)


def test_single_error_events_show_a_fault_of_the_error_rate() -> None:
    assert is_sign(planted(FaultKind.ERRORS), anomaly(BEGIN_MS, metric="error", level="0"))


@pytest.mark.parametrize(
    ("at_ms", "explained"),
    [
        (BEGIN_MS - 1, False),
        (BEGIN_MS, True),
        # Windows of ten seconds: the last one begins a millisecond before the grace ends.
        (END_MS + GRACE_MS + 9_999, True),
        (END_MS + GRACE_MS + 10_000, False),
    ],
)
def test_window_is_explained_if_it_holds_a_moment_of_the_fault_or_its_grace(at_ms: int, explained: bool) -> None:  # noqa: FBT001 a case
    assert is_consequence(planted(), anomaly(at_ms, metric="cost_usd_mean", level="10s")) is explained


@pytest.mark.parametrize(
    ("options", "explained"),
    [
        ({}, True),
        ({"model": "gpt-4o-mini"}, False),
        ({"tenant": "globex"}, False),
        ({"user": "user-7"}, True),
        ({"entity": "tenant_provider", "application": "-"}, True),
        ({"entity": "provider", "application": "-"}, True),
        ({"entity": "tenant_provider", "application": "-", "provider": "anthropic"}, False),
        ({"application": "search"}, False),
    ],
)
def test_fault_of_a_model_explains_what_shares_its_calls(options: dict[str, str], explained: bool) -> None:  # noqa: FBT001 a case
    named = dict(options)
    about = anomaly(BEGIN_MS, named.pop("application", "checkout"), **named).affected_entity
    assert is_touched(CHECKOUT, about) is explained


def test_silence_of_an_application_does_not_explain_another_ones_provider() -> None:
    silent = Scope(tenant_id="acme", application_id="checkout")
    assert not is_touched(silent, anomaly(0, "-", entity="tenant_provider").affected_entity)


def test_incident_is_false_if_most_of_its_anomalies_have_no_cause() -> None:
    early = [anomaly(at_ms, metric="cost_usd_mean") for at_ms in (0, 10_000)]
    sign = anomaly(BEGIN_MS, metric="cost_usd_mean")
    half = score([planted()], [early[0], sign], [incident("i", early[0], sign)])
    assert not half.false_incidents
    mostly = score([planted()], [*early, sign], [incident("i", *early, sign)])
    assert [each.incident_id for each in mostly.false_incidents] == ["i"]
    assert mostly.precision == 0.0
    assert mostly.false_criticals == 1
    assert not mostly.findings[0].is_found


def test_one_false_warning_among_twenty_incidents_passes_and_a_critical_one_does_not() -> None:
    sign, stray = anomaly(BEGIN_MS, metric="cost_usd_mean"), anomaly(0, "search")
    true = [incident(f"true-{number}", sign) for number in range(19)]
    warning = score([planted()], [sign, stray], [*true, incident("false", stray, severity=Severity.WARNING)])
    assert warning.precision == pytest.approx(0.95)
    assert warning.is_passed
    assert not score([planted()], [sign, stray], [*true, incident("false", stray)]).is_passed
    assert not score([planted()], [sign, stray], [*true[1:], incident("false", stray)]).is_passed


@given(st.permutations([0, 1, 2]), st.integers(1, 3))
def test_order_and_repeats_change_nothing(order: list[int], times: int) -> None:
    told = [anomaly(at_ms, metric="cost_usd_mean") for at_ms in (0, BEGIN_MS, BEGIN_MS + 30_000)]
    states = [
        incident("i", told[0], severity=Severity.WARNING),
        incident("i", *told[:2], revision=2),
        incident("i", *told, revision=3),
    ]
    wanted = score([planted()], told, states)
    shuffled = score([planted()], [told[i] for i in order] * times, [states[i] for i in order] * times)
    assert shuffled == wanted
    assert wanted.incidents == 1
    assert wanted.findings[0].severity is Severity.CRITICAL


def test_truth_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    wrong = tmp_path / "truth.jsonl"
    wrong.write_bytes(msgspec.json.encode(planted()) + b"\n{}\n")
    with pytest.raises(SentinelError, match="line 2"):
        read_truth(wrong)
    with pytest.raises(SentinelError, match="cannot be read"):
        read_truth(tmp_path / "missing.jsonl")


def test_backtest_with_the_truth_says_what_was_found(tmp_path: Path) -> None:
    calls, truth, plan = tmp_path / "calls.jsonl", tmp_path / "truth.jsonl", tmp_path / "plan.json"
    fault = {
        "kind": "provider_outage",
        "scope": {"provider": "openai"},
        "after": "8m",
        "lasts": "2m",
    }
    plan.write_text(json.dumps({"faults": [fault]}))
    size = ["--applications", "9", "--rate", "20", "--duration", "10m", "--start", from_at_ms(START_AT_MS)]
    _run(replay, *size, "--plan", str(plan), "--out", str(calls), "--truth", str(truth))
    said = _run(backtest, "telemetry", str(calls), "--out", str(tmp_path / "found"), "--truth", str(truth))
    [row] = [line for line in said.splitlines() if "provider_outage" in line]
    assert [cell.strip() for cell in row.split("│")[3:5]] == ["critical", "yes"]
    assert "False alarms:" in said


def _run(command: object, *arguments: str) -> str:
    app = typer.Typer()
    if isinstance(command, typer.Typer):
        app = command
    else:
        app.command()(command)  # type: ignore[type-var]
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
