"""Planted faults are really there, as large as stated, and nowhere else; the truth says where."""

import json
import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jobs.errors import SentinelError
from jobs.replay.events import generate
from jobs.replay.faults import Fault, FaultKind, FaultPlan, Scope, duration_ms, read_plan
from jobs.replay.plan import default_plan
from jobs.replay.truth import PlantedFault, ground_truth
from jobs.replay.world import World, default_world
from schemas.anomaly import Severity
from schemas.telemetry import Data, Status, TelemetryEvent
from schemas.time import to_at_ms

START_AT_MS = 1_764_000_000_000
DURATION_MS = 480_000
STEADY = Scope(application_id="ticket-triage", provider="aws.bedrock", model="anthropic.claude-3-haiku-20240307-v1:0")
CHAT = Scope(tenant_id="acme", application_id="support-chat", provider="openai", model="gpt-4o")


@cache
def _world() -> World:
    return default_world(applications=6, rate_per_s=12.0)


@cache
def _events(plan: FaultPlan) -> list[TelemetryEvent]:
    return list(generate(_world(), plan, seed=7, start_at_ms=START_AT_MS, duration_ms=DURATION_MS))


def _truth(plan: FaultPlan) -> tuple[PlantedFault, ...]:
    return ground_truth(_world(), plan, seed=7, start_at_ms=START_AT_MS, duration_ms=DURATION_MS)


def _plan(kind: FaultKind, scope: Scope = CHAT, magnitude: float | None = None) -> FaultPlan:
    return FaultPlan(faults=(Fault(kind=kind, scope=scope, after="4m", lasts="2m", magnitude=magnitude),))


def _is_hit(event: TelemetryEvent, fault: PlantedFault) -> bool:
    scope = fault.scope
    told = {
        "tenant_id": event.tenant_id,
        "application_id": event.application_id,
        "provider": event.data.provider,
        "model": event.data.model,
        "user_id": event.metadata.user_id if event.metadata else None,
    }
    in_scope = all(getattr(scope, part) in ("", value) for part, value in told.items())
    return in_scope and fault.start_at_ms <= to_at_ms(event.timestamp) < fault.end_at_ms


def _prompt(data: Data) -> float | None:
    return data.prompt_tokens


FACTORS: dict[FaultKind, tuple[float, dict[str, float]]] = {
    FaultKind.LATENCY: (2.0, {"latency_ms": 2.0, "ttft_ms": 1.0, "cost": 1.0, "prompt_tokens": 1.0}),
    FaultKind.TTFT: (3.0, {"ttft_ms": 3.0, "cost": 1.0, "prompt_tokens": 1.0}),
    FaultKind.TOKENS: (3.0, {"prompt_tokens": 3.0, "completion_tokens": 3.0, "cost": 3.0}),
    FaultKind.COST: (5.0, {"cost": 5.0, "latency_ms": 1.0, "prompt_tokens": 1.0, "completion_tokens": 1.0}),
}


@pytest.mark.parametrize("kind", FACTORS)
def test_fault_multiplies_its_metrics_and_changes_no_other_event(kind: FaultKind) -> None:
    magnitude, factors = FACTORS[kind]
    plan = _plan(kind)
    (fault,) = _truth(plan)
    assert fault.magnitude == magnitude
    hit = 0
    for usual, event in zip(_events(FaultPlan()), _events(plan), strict=True):
        if not _is_hit(usual, fault) or usual.data.status is not Status.SUCCESS:
            assert event == usual
            continue
        hit += 1
        for metric, factor in factors.items():
            # The wire rounds to microseconds and nano-dollars.
            assert getattr(event.data, metric) == pytest.approx(
                getattr(usual.data, metric) * factor, abs=2e-3, rel=1e-6
            )
    # 2 minutes of the main model of the busiest application, which has a quarter of 12 calls a second.
    assert hit > 250


@pytest.mark.parametrize(
    ("kind", "of", "factor"),
    [
        (FaultKind.LATENCY, lambda data: data.latency_ms, 2.0),
        (FaultKind.TOKENS, _prompt, 3.0),
        (FaultKind.COST, lambda data: data.cost, 5.0),
    ],
)
def test_medians_of_faulty_and_quiet_traffic_differ_by_the_magnitude(
    kind: FaultKind, of: Callable[[Data], float | None], factor: float
) -> None:
    # On an application whose traffic does not drift by itself, as that of the chat does.
    plan = _plan(kind, STEADY)
    (fault,) = _truth(plan)
    faulty: list[float] = []
    quiet: list[float] = []
    for event in _events(plan):
        value = of(event.data)
        if value is not None and event.application_id == STEADY.application_id and event.data.model == STEADY.model:
            (faulty if _is_hit(event, fault) else quiet).append(math.log(value))
    ratio = float(np.median(faulty)) - float(np.median(quiet))
    # The standard error of a median is about 1.2533 times that of the mean.
    error = 1.2533 * float(np.std(quiet)) * math.sqrt(1 / len(faulty) + 1 / len(quiet))
    assert ratio == pytest.approx(math.log(factor), abs=4 * error)
    assert 4 * error < math.log(factor) / 2


@pytest.mark.parametrize(("kind", "share"), [(FaultKind.ERRORS, 0.10), (FaultKind.PROVIDER_OUTAGE, 0.80)])
def test_share_of_failed_calls_rises_to_the_magnitude(kind: FaultKind, share: float) -> None:
    scope = CHAT if kind is FaultKind.ERRORS else Scope(provider="openai")
    plan = _plan(kind, scope)
    (fault,) = _truth(plan)
    hit = [event for event in _events(plan) if _is_hit(event, fault)]
    failed = sum(event.data.status is not Status.SUCCESS for event in hit)
    assert failed / len(hit) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / len(hit)))
    changed = [e for e, usual in zip(_events(plan), _events(FaultPlan()), strict=True) if e != usual]
    assert all(_is_hit(event, fault) for event in changed)


def test_outage_hits_every_tenant_and_application_of_the_provider_with_many_timeouts() -> None:
    plan = _plan(FaultKind.PROVIDER_OUTAGE, Scope(provider="openai"))
    (fault,) = _truth(plan)
    statuses: dict[tuple[str | None, str], Counter[Status | None]] = {}
    for event in _events(plan):
        if _is_hit(event, fault):
            statuses.setdefault((event.tenant_id, event.application_id), Counter())[event.data.status] += 1
    assert len(statuses) > 1
    assert len({tenant for tenant, _ in statuses}) > 1
    for counted in statuses.values():
        # Half of the failures of an outage are timeouts: 40 % of all calls, +- 4 standard deviations.
        margin = 4 * math.sqrt(0.24 / counted.total())
        assert counted[Status.TIMEOUT] / counted.total() == pytest.approx(0.4, abs=margin)


def test_outage_of_one_tenant_leaves_the_others_alone() -> None:
    plan = _plan(FaultKind.PROVIDER_OUTAGE, Scope(provider="openai", tenant_id="acme"))
    changed = [e for e, usual in zip(_events(plan), _events(FaultPlan()), strict=True) if e != usual]
    assert {(event.tenant_id, event.data.provider) for event in changed} == {("acme", "openai")}


def test_silence_removes_the_calls_of_the_application_and_no_others() -> None:
    plan = _plan(FaultKind.SILENCE, Scope(tenant_id="acme", application_id="support-chat"))
    (fault,) = _truth(plan)
    assert _events(plan) == [event for event in _events(FaultPlan()) if not _is_hit(event, fault)]
    assert len(_events(FaultPlan())) - len(_events(plan)) > 300


def test_runaway_user_makes_fifty_times_the_calls_and_tokens() -> None:
    user = Scope(tenant_id="acme", application_id="support-chat", user_id="user-0020")
    plan = _plan(FaultKind.RUNAWAY_USER, user)
    (fault,) = _truth(plan)
    usual_ids = {event.event_id for event in _events(FaultPlan())}
    further = [event for event in _events(plan) if event.event_id not in usual_ids]
    assert [event for event in _events(plan) if event.event_id in usual_ids] == _events(FaultPlan())
    assert all(_is_hit(event, fault) for event in further)
    # 49 times the usual calls of two minutes on top, a Poisson count.
    expected = 49 * fault.calls_per_min * 2
    assert len(further) == pytest.approx(expected, abs=4 * math.sqrt(expected))
    tokens = [event.data.prompt_tokens for event in further if event.data.prompt_tokens is not None]
    ordinary = [e.data.prompt_tokens for e in _events(FaultPlan()) if e.application_id == "support-chat"]
    everyone = [count for count in ordinary if count is not None]
    # Tokens per call are as usual, so that tokens grow as calls do.
    error = float(np.std(everyone)) / math.sqrt(len(tokens))
    assert np.mean(tokens) == pytest.approx(np.mean(everyone), abs=5 * error)


def test_absurd_event_is_the_one_that_the_truth_names() -> None:
    plan = _plan(FaultKind.ABSURD)
    (fault,) = _truth(plan)
    (event_id,) = fault.event_ids
    changed = [(e, usual) for e, usual in zip(_events(plan), _events(FaultPlan()), strict=True) if e != usual]
    ((event, usual),) = changed
    assert event.event_id == event_id
    assert fault.start_at_ms == to_at_ms(event.timestamp) == fault.end_at_ms - 1
    assert event.data.latency_ms == pytest.approx((usual.data.latency_ms or 0) * 400, rel=1e-6)
    assert event.data.prompt_tokens == (usual.data.prompt_tokens or 0) * 100
    assert event.data.completion_tokens == (usual.data.completion_tokens or 0) * 100


def test_absurd_event_happens_once_beside_a_runaway_user() -> None:
    user = Scope(tenant_id="acme", application_id="support-chat", user_id="user-0020")
    plan = FaultPlan(faults=_plan(FaultKind.RUNAWAY_USER, user).faults + _plan(FaultKind.ABSURD).faults)
    (absurd,) = [fault for fault in _truth(plan) if fault.kind is FaultKind.ABSURD]
    named = [event for event in _events(plan) if event.event_id in absurd.event_ids]
    assert len(named) == 1
    # Prompts of the chat have at most 14,050 tokens in the trace, and 1,035 at the median: no other call comes near.
    large = [event for event in _events(plan) if (event.data.prompt_tokens or 0) > 14_050 and event.tenant_id == "acme"]
    assert [event for event in large if event.application_id == "support-chat"] == named


def test_default_plan_has_every_kind_with_quiet_before_and_between() -> None:
    world = default_world()
    span = {"seed": 1, "start_at_ms": START_AT_MS, "duration_ms": 3_600_000}
    plan = default_plan(world, **span)
    truth = ground_truth(world, plan, **span)
    assert {fault.kind for fault in truth} == set(FaultKind)
    # A third of the hour for warming up.
    assert truth[0].start_at_ms >= START_AT_MS + 1_200_000
    for before, after in pairwise(truth):
        assert after.start_at_ms - before.end_at_ms >= 60_000
    assert truth[-1].end_at_ms <= START_AT_MS + 3_600_000 - 60_000


@pytest.mark.parametrize("seed", range(5))
def test_default_plan_hits_only_what_exists_and_has_the_volume_to_be_seen(seed: int) -> None:
    world = default_world()
    span = {"seed": seed, "start_at_ms": START_AT_MS, "duration_ms": 1_800_000}
    applications = {(a.tenant_id, a.application_id): a for a in world.applications}
    for fault in ground_truth(world, default_plan(world, **span), **span):
        scope = fault.scope
        if scope.application_id:
            application = applications[scope.tenant_id, scope.application_id]
            called = {(world.models[i].provider, world.models[i].name) for i in application.models}
            assert not scope.model or (scope.provider, scope.model) in called
            assert not scope.user_id or scope.user_id in {application.user_id(r) for r in range(application.users)}
        else:
            assert scope.provider in world.providers
        usual_per_min = fault.calls_per_min * (50 if fault.kind is FaultKind.RUNAWAY_USER else 1)
        assert usual_per_min >= 30
        assert len(fault.event_ids) == (fault.kind is FaultKind.ABSURD)


def test_truth_leaves_out_faults_after_the_end_and_cuts_those_that_reach_beyond() -> None:
    plan = FaultPlan(
        faults=(
            Fault(kind=FaultKind.COST, scope=CHAT, after="7m", lasts="5m"),
            Fault(kind=FaultKind.COST, scope=CHAT, after="9m", lasts="1m"),
        )
    )
    (fault,) = _truth(plan)
    assert fault.end_at_ms == START_AT_MS + DURATION_MS


def test_expected_severity_is_critical_for_the_big_ones_unless_the_plan_says_otherwise() -> None:
    outage = _plan(FaultKind.PROVIDER_OUTAGE, Scope(provider="openai")).faults[0]
    plan = FaultPlan(faults=(outage, msgspec.structs.replace(outage, severity=Severity.WARNING)))
    assert [fault.severity for fault in _truth(plan)] == [Severity.CRITICAL, Severity.WARNING]


YAML = """
faults:
  - kind: latency
    scope: {tenant_id: acme, application_id: support-chat, model: gpt-4o}
    after: 5m
    lasts: 90s
    magnitude: 4
  - kind: provider_outage
    scope: {provider: openai}
    after: 8m
    lasts: 1m
"""


def test_plan_reads_the_same_from_yaml_and_json(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(YAML)
    from_yaml = read_plan(tmp_path / "plan.yaml", _world())
    (tmp_path / "plan.json").write_text(json.dumps(msgspec.to_builtins(from_yaml)))
    assert read_plan(tmp_path / "plan.json", _world()) == from_yaml
    assert [fault.kind for fault in from_yaml.faults] == [FaultKind.LATENCY, FaultKind.PROVIDER_OUTAGE]
    assert (from_yaml.faults[0].after_ms, from_yaml.faults[0].until_ms, from_yaml.faults[0].size) == (
        300_000,
        390_000,
        4,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("faults: [{kind: latency, after: 5}]", "`$.faults[0].after`"),
        ("faults: [{kind: flood, after: 5m}]", "flood"),
        ("faults: [{kind: latency, after: 5m, lasts: 1m, size: 3}]", "unknown field `size`"),
        ("faults: [{kind: latency, after: 5m}]", "fault 1 (latency) lasts no time"),
        ("faults: [{kind: silence, after: 5m, lasts: 1m}]", "needs application_id"),
        ("faults: [{kind: errors, after: 5m, lasts: 1m, magnitude: 10}]", "it is a share"),
        ("faults: [{kind: cost, after: 5m, lasts: 1m, scope: {application_id: nope}}]", "not in this world"),
        ("faults: [{kind: cost, after: 5m, lasts: 1m, scope: {model: gpt-9}}]", "do not call"),
        (
            "faults: [{kind: runaway_user, after: 5m, lasts: 1m, scope: {application_id: support-chat, user_id: bob}}]",
            "names a user that does not exist",
        ),
        ("faults: [", "is wrong"),
    ],
)
def test_bad_plan_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(SentinelError) as refused:
        read_plan(path, _world())
    assert str(path) in str(refused.value)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_plan_and_too_short_replay_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SentinelError, match="cannot be read"):
        read_plan(tmp_path / "none.yaml", _world())
    with pytest.raises(SentinelError, match="at least 10 minutes"):
        default_plan(_world(), seed=1, start_at_ms=0, duration_ms=60_000)


@pytest.mark.parametrize(
    ("text", "length_ms"), [("250ms", 250), ("90s", 90_000), ("30m", 1_800_000), ("2h", 7_200_000)]
)
def test_durations_are_digits_and_a_unit(text: str, length_ms: int) -> None:
    assert duration_ms(text) == length_ms
