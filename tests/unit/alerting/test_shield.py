"""The action `shield` of alert definitions: against whom, for how long, and never against everybody by mistake."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.action import Action, ActionKind, ActionTarget
from schemas.alert import AlertAction, AlertDefinition, AlertThrottling, AnomalyTrigger
from schemas.anomaly import Severity
from schemas.time import to_at_ms
from udfs.alerting.alert import Alert, fingerprint
from udfs.alerting.definition import check_definition, notification_of
from udfs.alerting.definitions import Definitions
from udfs.alerting.observation import Observation
from udfs.alerting.shield import TARGET_FIELDS, actions_of

NOW_MS = to_at_ms("2026-11-24T09:31:00Z")
BLOCK = AlertAction(type="shield", config={"action": "block", "duration": "1h"})
LIMIT = AlertAction(type="shield", config={"action": "rate_limit", "limit": 100, "per": "1m", "duration": "10m"})


def definition(
    *actions: AlertAction, grouping: tuple[str, ...] = ("tenant_id", "user_id"), **changes: Any
) -> AlertDefinition:
    fields: dict[str, Any] = {
        "alert_id": "injection",
        "name": "Injection",
        "conditions": AnomalyTrigger(),
        "actions": actions or (BLOCK,),
        "throttling": AlertThrottling(max_frequency="1h", grouping=grouping),
    }
    return AlertDefinition(**fields | changes)


def begun(wanted: AlertDefinition, **fields: str) -> Alert:
    """Return the alert that an anomaly with these fields makes a definition fire with."""
    seen = Observation(at_ms=NOW_MS, fields=fields, value=0.9, severity=Severity.CRITICAL)
    (alert,) = Definitions([wanted]).take(seen, NOW_MS)
    return alert


def test_action_is_against_what_the_grouping_names_and_ends_by_itself() -> None:
    wanted = definition(BLOCK, LIMIT, AlertAction(type="notification"))
    alert = begun(wanted, tenant_id="acme", user_id="u1", application_id="checkout")
    block, limit = actions_of(wanted, alert, NOW_MS)
    assert block == Action(
        action_id=block.action_id,
        action=ActionKind.BLOCK,
        target=ActionTarget(tenant_id="acme", user_id="u1"),
        at="2026-11-24T09:31:00.000Z",
        expires_at="2026-11-24T10:31:00.000Z",
        alert_id="injection",
        fingerprint=fingerprint(alert.labels),
        reason="Injection: count 1 within 5m",
    )
    assert (limit.action, limit.limit, limit.per_s) == (ActionKind.RATE_LIMIT, 100, 60)
    assert limit.expires_at == "2026-11-24T09:41:00.000Z"
    assert limit.action_id != block.action_id
    assert actions_of(wanted, alert, NOW_MS) == [block, limit]


def test_nothing_is_done_where_the_alert_lacks_a_part_of_the_target() -> None:
    alert = begun(definition(LIMIT), tenant_id="acme", model="m")
    (nothing,) = actions_of(definition(LIMIT), alert, NOW_MS)
    assert (nothing.action, nothing.limit, nothing.per_s) == (ActionKind.NONE, None, None)
    assert nothing.reason == "nothing is done: the alert names no user_id"


def test_zero_value_does_nothing() -> None:
    assert Action(action_id="a", at="", expires_at="").action is next(iter(ActionKind)) is ActionKind.NONE
    assert ActionKind.NONE.value == "none"


def test_definition_of_a_tenant_acts_on_its_own_traffic() -> None:
    wanted = definition(grouping=("model",), tenant_id="acme")
    check_definition(wanted, ())
    (action,) = actions_of(wanted, begun(wanted, tenant_id="acme", model="m"), NOW_MS)
    assert action.target == ActionTarget(tenant_id="acme", model="m")


@given(
    st.sets(st.sampled_from(TARGET_FIELDS)).map(tuple),
    st.dictionaries(st.sampled_from(TARGET_FIELDS), st.sampled_from(["", "x", "y"])),
)
def test_action_never_reaches_beyond_what_was_seen(grouping: tuple[str, ...], fields: dict[str, str]) -> None:
    wanted = definition(grouping=grouping)
    try:
        check_definition(wanted, ())
    except ValueError:
        assert "tenant_id" not in grouping
        return
    (action,) = actions_of(wanted, begun(wanted, **fields), NOW_MS)
    if action.action is not ActionKind.NONE:
        assert action.target.tenant_id
        assert all(getattr(action.target, name) == fields[name] != "" for name in grouping)


def test_who_is_told_is_the_notifications_wherever_it_stands() -> None:
    told = AlertAction(type="notification", config={"receivers": ["team"]})
    check_definition(definition(BLOCK, told), ("team",))
    assert notification_of(definition(BLOCK, told)).receivers == ("team",)
    assert notification_of(definition(BLOCK)).receivers == ()


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, r"actions\[0\]\.config: Object missing required field `action`"),
        ({"action": "none"}, r"actions\[0\]\.config: Invalid enum value 'none'"),
        ({"action": "delete"}, r"actions\[0\]\.config: Invalid enum value 'delete'"),
        ({"action": "block", "until": "x"}, "unknown field `until`"),
        ({"action": "block", "duration": "30d"}, r"config\.duration: 30d is longer than 7d"),
        ({"action": "block", "duration": "0s"}, r"config\.duration: 0s is no time at all"),
        ({"action": "rate_limit", "limit": 5}, "rate_limit needs limit and per, as limit: 100 and per: 1m"),
        ({"action": "throttle", "per": "1m"}, "throttle needs limit and per"),
        ({"action": "rate_limit", "limit": 0, "per": "1m"}, "Expected `int` >= 1"),
        ({"action": "rate_limit", "limit": 5, "per": "0m"}, r"config\.per: 0m is no time at all"),
        ({"action": "block", "limit": 5}, "block takes neither limit nor per"),
    ],
)
def test_bad_action_is_named(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_definition(definition(AlertAction(type="shield", config=config)), ())


@pytest.mark.parametrize("grouping", [(), ("user_id",), ("application_id", "model")])
def test_action_without_a_tenant_is_refused(grouping: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"actions\[0\]\.type: shield acts on the traffic that throttling\.grouping"):
        check_definition(definition(grouping=grouping), ())
    with pytest.raises(ValueError, match=r"actions\[0\]\.type: shield acts on"):
        check_definition(definition(throttling=None, tenant_id="acme"), ())


def test_second_notification_is_refused() -> None:
    twice = AlertAction(type="notification"), AlertAction(type="notification")
    with pytest.raises(ValueError, match=r"actions\[1\]\.type: one notification is enough"):
        check_definition(definition(*twice), ())
