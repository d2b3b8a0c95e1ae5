"""Storms: bounded state and few incidents, whatever comes; and outages, however they are shuffled."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.anomaly import Anomaly
from schemas.incident import Incident, IncidentStatus
from schemas.time import from_at_ms
from tests.script import START_AT_MS, World, anomaly
from udfs.correlation import Correlation, CorrelationState, OperatorNotice, ProviderCorrelation
from udfs.correlation.casebook import MAX_CALLS, MAX_CLOSED, MAX_OPEN, MAX_USED_IDS
from udfs.correlation.provider import MAX_TENANTS
from udfs.correlation.waiting import MAX_LISTS, MAX_SHARES
from udfs.keyed_logic import KeyedRun

STATE_BYTES_MAX = 512 * 1024
ENTITIES = 1000
KINDS = ("applications", "users", "providers")


def storm(kind: str, count: int) -> Iterator[Anomaly]:
    """Yield anomalies of 1,000 entities, 100 a second, a third of them with traces, disordered by seconds."""
    rng = np.random.default_rng(7)
    metrics = ("latency_ms_p95", "latency_ms_mean", "error_rate", "tokens_per_s", "cost_usd_per_s", "guardrail")
    for number in range(count):
        entity = int(rng.integers(ENTITIES))
        place = {
            "applications": {"application": f"app{entity}", "provider": f"p{entity % 5}"},
            "users": {"application": f"app{entity % 100}", "user": f"user{entity}"},
            "providers": {"application": f"app{entity}", "provider": f"p{entity}"},
        }[kind]
        options = {"detector": f"d{rng.integers(3)}", "level": ("0", "10s", "1m")[rng.integers(3)]}
        if rng.random() < 0.3:
            options["trace"] = f"{rng.integers(10**6):032x}"
        yield anomaly(
            number * 10 + int(rng.integers(3_000)),
            metric=metrics[rng.integers(6)],
            severity=("info", "warning", "warning", "critical")[rng.integers(4)],
            score=str(rng.random()),
            id=f"{number:036d}",
            **place,
            **options,
        )


def largest_state(kind: str, count: int) -> tuple[int, int]:
    """Return the most bytes a tenant's state had in a storm, and how many states of incidents were put out."""
    run = KeyedRun(Correlation())
    largest = told = 0
    for number, item in enumerate(storm(kind, count)):
        told += len(run.send("acme", item)) - 1
        if number % 250 == 0:
            told += sum(len(outputs) for _, outputs in run.pass_time(START_AT_MS + number * 10))
            state = run.states["acme"]
            within_limits(state)
            largest = max(largest, len(run.logic.encode(state)))
    assert set(run.states) == {"acme"}
    return largest, told


def within_limits(state: CorrelationState) -> None:
    """Fail if a part of the state has more entries than it may."""
    open_count = sum(cell.is_open for cell in state.incidents.values())
    # Folding may open one incident more, and the tenant's own is another.
    assert open_count <= MAX_OPEN + 2
    assert len(state.incidents) - open_count <= MAX_CLOSED
    assert len(state.waiting) <= MAX_LISTS
    assert len(state.calls) <= MAX_CALLS
    assert len(state.used_ids) <= 8 * MAX_USED_IDS
    assert all(len(cell.shares) <= MAX_SHARES for cell in state.incidents.values())


@pytest.mark.parametrize("kind", KINDS)
def test_state_is_bounded_in_a_storm(kind: str) -> None:
    largest, told = largest_state(kind, 4_000)
    assert largest <= STATE_BYTES_MAX
    # One incident has at most 50 entities and 20 families to tell of at once; the rest comes every ten seconds.
    assert told < 4_000 / 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_state_is_bounded_in_a_storm_of_100_000_anomalies(kind: str) -> None:
    assert largest_state(kind, 100_000)[0] <= STATE_BYTES_MAX


def test_more_incidents_than_32_are_one_of_the_tenant() -> None:
    world = World()
    for number in range(80):
        world.send(anomaly(number, f"app{number}", "error_rate", "critical", provider=f"p{number}"))
    scopes = [each.scope for each in world.incidents().values() if each.status is IncidentStatus.OPEN]
    assert len(scopes) == MAX_OPEN + 1
    assert [scope for scope in scopes if not scope.startswith("application:")] == ["tenant:acme"]
    assert sum(each.anomaly_count for each in world.incidents().values()) == 80


def test_folding_needs_no_room() -> None:
    world = World()
    for number in range(2):
        world.send(anomaly(number, f"app{number}", "error_rate", "critical"))
    for number in range(2, MAX_OPEN):
        world.send(anomaly(number, f"app{number}", "error_rate", "critical", provider=f"p{number}"))
    world.send(anomaly(50, "another", "error_rate", "critical"))
    scopes = [each.scope for each in world.incidents().values() if each.status is IncidentStatus.OPEN]
    assert scopes.count("provider:openai") == 1
    assert len(scopes) == MAX_OPEN - 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 7_200), st.integers(0, 2**32))
def test_outage_over_20_applications_is_one_incident_with_one_id_in_any_order(start_s: int, seed: int) -> None:
    """Anomalies of a few seconds in any order give the same incident, unless they lie across an edge of its bucket."""
    start_ms = start_s // 300 * 300_000 + start_s % 290 * 1_000
    outage = [
        anomaly(start_ms + number * 200, f"app{number}", metric, "critical")
        for number in range(20)
        for metric in ("error_rate", "latency_ms_p95")
    ]
    found = []
    for order in (range(40), np.random.default_rng(seed).permutation(40).tolist()):
        world = World()
        for position in order:
            world.send(outage[position])
        world.pass_time(START_AT_MS + start_ms + 20_000)
        newest = world.incidents()
        (standing,) = [each for each in newest.values() if each.status is IncidentStatus.OPEN]
        folded = [each for each in newest.values() if each is not standing]
        assert standing.scope == "provider:openai"
        assert standing.anomaly_count == 40
        assert {each.parent_incident_id for each in folded} <= {standing.incident_id}
        assert {each.scope.partition(":")[0] for each in folded} <= {"application"}
        found.append(standing.incident_id)
    assert found[0] == found[1]


def test_notices_reach_exactly_the_tenants_with_trouble_on_the_provider() -> None:
    world = World()
    for number in range(50):
        world.send(anomaly(number, "shop", "error_rate", "warning", tenant=f"t{number}"))
    world.send(anomaly(60, "shop", "error_rate", "warning", tenant="stranger", provider="anthropic"))
    world.send(anomaly(10_000, "-", "error_rate", "critical", entity="provider"))
    told = [each.tenant_id for each in world.outputs if isinstance(each, OperatorNotice)]
    assert sorted(told) == sorted(f"t{number}" for number in range(50))
    operators = [each for each in world.incidents().values() if each.tenant_id is None]
    assert len(operators) == 1
    assert not operators[0].entities[0].tenant_id


def test_notice_that_was_heard_changes_nothing() -> None:
    logic = Correlation()
    notice = OperatorNotice(tenant_id="acme", provider="openai", incident_id="1", opened_at_ms=0, until_ms=1)
    state = logic.on_item(None, notice).state
    assert state is not None
    assert logic.on_item(state, notice).state is state


def test_operators_remember_a_bounded_number_of_tenants() -> None:
    logic, state = ProviderCorrelation(), None
    for number in range(MAX_TENANTS + 10):
        state = logic.on_item(state, anomaly(number, tenant=f"t{number}")).state
    assert state is not None
    assert len(state.tenants) == MAX_TENANTS
    assert "t9" not in state.tenants
    assert len(logic.encode(state)) < 300_000


def test_year_9999_stops_nothing() -> None:
    world = World()
    last = replace(anomaly(0, severity="critical"), timestamp=from_at_ms(253_402_300_799_000))
    world.send(last)
    world.send(anomaly(0, severity="critical", id="today"))
    opened = [each for each in world.outputs if isinstance(each, Incident)]
    assert len(opened) == 2
    assert max(each.expires_at for each in opened) == "9999-12-31T23:59:59.999Z"
