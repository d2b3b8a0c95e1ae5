"""The scenarios of alert dispatch, told in virtual time; the real Alertmanager tells the same ones in real time."""

import pytest

from tests.alert_scenarios import names, read, tell


@pytest.mark.parametrize("name", names())
def test_scenario_is_told_as_it_says(name: str) -> None:
    scenario = read(name)
    assert {place: tuple(told) for place, told in tell(scenario).items()} == scenario.expected


@pytest.mark.parametrize("name", names())
def test_scenario_with_a_restart_after_every_step_is_told_alike(name: str) -> None:
    scenario = read(name)
    assert tell(scenario, restart=True) == tell(scenario)
