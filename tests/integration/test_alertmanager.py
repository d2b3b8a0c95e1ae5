"""The real Alertmanager tells every scenario as our dispatcher does: same webhooks, alerts, order and times."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.alert_scenarios import Scenario, Told, names, read
from tests.alertmanager_process import PROGRAM, Disturbed, shown, tell_for_real

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(PROGRAM is None, reason="prometheus-alertmanager (Debian package of that name) is not here"),
]
AT_ONCE = 16
TRIES = 4
EARLY_S, LATE_S = 0.15, 0.8
_SOME = ("late-alert", "resolved", "inhibited", "silence-ended", "reloaded-groups", "continue")


def test_alertmanager_tells_some_scenarios_alike() -> None:
    _compare(_SOME)


@pytest.mark.slow
def test_alertmanager_tells_all_scenarios_alike() -> None:
    _compare(names())


def _compare(scenarios: list[str] | tuple[str, ...]) -> None:
    # The longest first, so that none is left alone at the end.
    longest_first = sorted(scenarios, key=lambda name: -read(name).until)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        differences = list(pool.map(_difference, longest_first))
    assert not any(differences), "\n".join(filter(None, differences))


def _difference(name: str) -> str:
    scenario = read(name)
    if scenario.differs:
        return ""
    for _ in range(TRIES):
        try:
            told = tell_for_real(scenario)
        except Disturbed:
            continue
        if not _is_alike(scenario, told):
            return f"{name}: {scenario.about} Alertmanager tells\n{shown(told)}"
        return ""
    pytest.skip("the machine stands still again and again")


def _is_alike(scenario: Scenario, told: dict[str, list[Told]]) -> bool:
    return all(_are_alike(scenario.expected[place], notices) for place, notices in told.items())


def _are_alike(expected: tuple[Told, ...], told: list[Told]) -> bool:
    # Groups whose time comes at the same instant are told of in any order.
    in_order = [sorted(each, key=lambda notice: (round(notice.at - 0.2), notice.group)) for each in (expected, told)]
    return len(expected) == len(told) and all(map(_is_same, *in_order))


def _is_same(expected: Told, told: Told) -> bool:
    alerts = [
        ours.labels == theirs.labels
        and ours.annotations == theirs.annotations
        and abs(ours.starts - theirs.starts) < 0.1
        and (ours.ends is None) == (theirs.ends is None)
        and abs((ours.ends or 0) - (theirs.ends or 0)) < 0.5
        for ours, theirs in zip(expected.alerts, told.alerts, strict=False)
    ]
    in_time = -EARLY_S <= told.at - expected.at <= LATE_S
    return in_time and expected.group == told.group and len(expected.alerts) == len(told.alerts) and all(alerts)
