"""Severity: how sure several witnesses make us, with the numbers worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.anomaly import Severity
from tests.anomaly_stories import anomalies
from tests.script import anomaly
from udfs.correlation.settings import CorrelationSettings
from udfs.correlation.severity import conviction, severity_of, severity_score, similarity
from udfs.correlation.witness import Concern, Witness, joined, witness_of

LONE_EVENT_SCORE = CorrelationSettings().lone_event_score


def witness(
    application: str = "checkout", metric: str = "latency_ms_p95", severity: str = "warning", **options: str
) -> Witness:
    return witness_of(anomaly(0, application, metric, severity, **options), LONE_EVENT_SCORE)


def repeated(one: Witness, times: int) -> Witness:
    for _ in range(times - 1):
        one = joined(one, witness_of(anomaly(0), LONE_EVENT_SCORE))
    return one


@pytest.mark.parametrize(
    ("severity", "options", "strength"),
    [
        ("info", {"score": "1"}, 0.15),
        ("warning", {"score": "0"}, 0.45),
        ("warning", {"score": "1"}, 0.53),
        ("critical", {"score": "0"}, 0.85),
        ("critical", {"score": "1"}, 0.95),
        ("critical", {"score": "0.89", "level": "0"}, 0.58),
        ("critical", {"score": "0.9", "level": "0"}, 0.94),
        ("critical", {"score": "0", "level": "0", "type": "rule"}, 0.85),
        ("critical", {"score": "0", "level": "0", "type": "behavioral"}, 0.85),
    ],
)
def test_strength_follows_severity_and_score(severity: str, options: dict[str, str], strength: float) -> None:
    assert witness(severity=severity, **options).strength == pytest.approx(strength)


def test_two_independent_weak_witnesses_open() -> None:
    # Strengths 0.45 + 0.08 * 0.5 = 0.49; errors repeat half of latency: 1 - 0.51 * (1 - 0.5 * 0.49) = 0.61495.
    score = severity_score([witness(), witness(metric="error_rate")])
    assert score == pytest.approx(61.495)
    assert severity_of(score, 60, 85) is Severity.WARNING


def test_mean_and_p95_are_hardly_two_witnesses() -> None:
    # They share 0.9: 1 - 0.51 * (1 - 0.1 * 0.49) = 0.51499.
    assert severity_score([witness(), witness(metric="latency_ms_mean")]) == pytest.approx(51.499)


def test_three_applications_are_more_than_three_metrics() -> None:
    # Weights of strangers: 1, 0.75, 0.75 * (1 - 0.25 * 0.75) = 0.609375;
    # 1 - 0.51 * (1 - 0.75 * 0.49) * (1 - 0.609375 * 0.49) = 0.773739.
    applications = [witness(application=name) for name in ("a", "b", "c")]
    assert severity_score(applications) == pytest.approx(77.3739, abs=1e-3)
    metrics = [witness(metric=name) for name in ("latency_ms_p50", "latency_ms_p95", "ttft_ms_p95")]
    assert severity_score(metrics) < 60


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({}, 1.0),
        ({"application": "search"}, 0.25),
        ({"metric": "error_rate"}, 0.5),
        ({"metric": "ttft_ms_p95"}, 0.9),
        ({"type": "ml", "detector": "forest"}, 0.5),
        ({"detector": "ewma"}, 0.9),
        ({"level": "1m"}, 0.8),
        ({"metric": "ttft_ms_p95", "detector": "ewma", "level": "1m"}, 0.648),
        ({"metric": "cost_usd", "trace": "t"}, 0.9),
    ],
)
def test_similarity_shrinks_with_every_difference(options: dict[str, str], share: float) -> None:
    left = witness(trace="t") if "trace" in options else witness()
    assert similarity(left, witness(**options)) == pytest.approx(share)


def test_one_warning_never_opens_however_often_and_strongly_it_repeats() -> None:
    # 1 - (1 - 0.53) * 0.97**5 = 0.5964.
    strongest = repeated(witness(score="1"), 1000)
    assert conviction(strongest) == pytest.approx(0.5964, abs=1e-4)
    assert severity_score([strongest]) < CorrelationSettings().open_score


def test_one_critical_anomaly_opens_a_critical_incident() -> None:
    assert severity_of(severity_score([witness(severity="critical", score="0")]), 60, 85) is Severity.CRITICAL


@given(st.lists(anomalies(), min_size=1, max_size=16, unique_by=lambda each: witness_of(each, 0.9).key), st.data())
def test_score_lies_between_its_strongest_witness_and_certainty_in_any_order(
    found: list[object], data: st.DataObject
) -> None:
    witnesses = [witness_of(each, LONE_EVENT_SCORE) for each in found]  # type: ignore[arg-type]
    score = severity_score(witnesses)
    assert 100 * max(map(conviction, witnesses)) - 1e-9 <= score < 100
    assert severity_score(data.draw(st.permutations(witnesses))) == score


@pytest.mark.parametrize(
    ("metric", "direction", "concern"),
    [
        ("latency_ms_p99", "high", Concern.SERVICE),
        ("ttft_ms_mean", "high", Concern.SERVICE),
        ("error_rate", "high", Concern.SERVICE),
        ("calls_per_s", "low", Concern.SERVICE),
        ("calls_per_s", "high", Concern.LOAD),
        ("completion_tokens", "high", Concern.LOAD),
        ("cost_usd_per_s", "none", Concern.LOAD),
        ("guardrail", "none", Concern.CONTENT),
        ("queue_depth", "high", Concern.OTHER),
    ],
)
def test_concern_follows_metric_and_direction(metric: str, direction: str, concern: Concern) -> None:
    assert witness(metric=metric, direction=direction).concern == concern


def test_time_that_is_no_time_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"anomaly a-1: .* RFC 3339"):
        witness_of(replace(anomaly(0, id="a-1"), timestamp="yesterday"), LONE_EVENT_SCORE)
