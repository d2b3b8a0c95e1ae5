"""Background: many branches at once, against exact Poisson tails, a slow reference, and a large tenant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from schemas.incident import IncidentStatus
from tests.script import START_AT_MS, World, anomaly
from udfs.correlation.background import (
    CHANCE,
    DECAY,
    PRIOR_WINDOWS,
    branches_beyond_chance,
    observed,
    usual_branches,
)


@pytest.mark.parametrize("mean", [0.0, 0.04, 0.05, 0.3, 1.0, 2.0, 7.5, 30.0, 64.0])
def test_branches_beyond_chance_agree_with_scipy(mean: float) -> None:
    exact = next(count for count in range(3, 1000) if poisson.sf(count - 1, mean) <= CHANCE)
    assert branches_beyond_chance(3, mean) == exact


def test_quiet_tenant_needs_three_and_a_large_one_more() -> None:
    # A thousand applications with ten metrics each, one false alarm per metric and week: one a minute, two a window.
    assert branches_beyond_chance(3, 0.0) == 3
    assert branches_beyond_chance(3, 2.0) == 11


@given(st.dictionaries(st.integers(0, 30), st.integers(1, 6), max_size=12), st.integers(0, 40))
def test_usual_branches_are_a_weighted_mean_of_all_windows_but_the_last_two(counts: dict[int, int], now: int) -> None:
    background = None
    for window in sorted(counts):
        if window <= now:
            for branch in range(counts[window]):
                background = observed(background, window, branch)
                background = observed(background, window, branch)
    first = min((window for window in counts if window <= now), default=now)
    ages = [(now - 2 - window, counts.get(window, 0)) for window in range(first - 1, now - 1)]
    total = sum(DECAY**age * count for age, count in ages)
    weight = sum(DECAY**age for age, _ in ages if age < now - 1 - first + 1)
    assert usual_branches(background, now) == pytest.approx(total / (PRIOR_WINDOWS + weight) if background else 0.0)


def test_older_window_changes_nothing() -> None:
    background = observed(observed(None, 5, 1), 9, 1)
    assert observed(background, 8, 2) == background


def test_critical_evidence_is_not_counted_as_usual() -> None:
    world = World()
    for minute in range(0, 120, 2):
        world.send(anomaly(minute * 60_000, f"app{minute % 7}", severity="critical"))
    world.pass_time(START_AT_MS + 180 * 60_000)
    for number in range(3):
        world.send(anomaly(180 * 60_000 + number, f"app{number}"))
    assert "provider:openai" in {each.scope for each in world.incidents().values()}


def test_user_does_not_explain_the_load_of_an_application_with_many_users_in_trouble() -> None:
    few, many = World(), World()
    for minute in range(0, 120, 2):
        many.send(anomaly(minute * 60_000, metric="cost_usd", user=f"u{minute}"))
    for world in (few, many):
        world.send(anomaly(7_200_000, metric="cost_usd", user="mallory"))
        world.send(anomaly(7_200_001, metric="cost_usd_per_s", severity="critical"))
    assert {each.scope for each in few.incidents().values()} == {"user:checkout/mallory"}
    assert {each.scope for each in many.incidents().values()} == {"application:checkout"}


def test_large_tenant_has_no_provider_incident_by_chance_but_one_by_outage() -> None:
    """One unrelated warning a minute among 1,000 applications for twelve hours; then 60 of them fail within 20 s."""
    rng = np.random.default_rng(20270115)
    world = World()
    hours_ms = 12 * 3_600_000
    for at_ms in np.sort(rng.integers(0, hours_ms, 720)).tolist():
        world.pass_time(START_AT_MS + at_ms)
        world.send(anomaly(at_ms, f"app{rng.integers(1000)}"))
    opened = [each.opened_at for each in world.incidents().values() if each.scope == "provider:openai"]
    assert len([each for each in opened if each > "2027-01-15T09"]) == 0
    for number in range(60):
        world.send(anomaly(hours_ms + number * 333, f"app{number}", "error_rate"))
    world.pass_time(START_AT_MS + hours_ms + 60_000)
    standing = [each for each in world.incidents().values() if each.status is IncidentStatus.OPEN]
    assert [each.scope for each in standing] == ["provider:openai"]
    assert standing[0].anomaly_count >= 60
    # Critical trouble is no chance: three are enough, also here.
    for number in range(3):
        world.send(anomaly(hours_ms + 3_600_000 + number, f"app{number}", "error_rate", "critical"))
    assert [each.scope for each in world.incidents().values()][-1] == "provider:openai"
