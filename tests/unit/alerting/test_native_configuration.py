"""The native configuration: what it makes of an Alertmanager configuration, and mistakes named with line and path."""

import re
from pathlib import Path

import pytest

from jobs.dispatch.native_configuration import load, parse
from jobs.errors import SentinelError
from udfs.alerting.definition import notification_of
from udfs.alerting.route import matching_routes
from udfs.alerting.storm import StormLimit, StormLimits
from udfs.alerting.throttle import Rate

FILE = Path(__file__).parents[2] / "golden" / "dispatch" / "native.yml"
TEXT = FILE.read_text()


def receivers(labels: dict[str, str]) -> list[str]:
    return [route.receiver for route in matching_routes(load(FILE).settings.route, labels)]


def test_a_plain_alertmanager_configuration_is_read_as_it_is(tmp_path: Path) -> None:
    plain = tmp_path / "alertmanager.yml"
    plain.write_text("route: {receiver: team}\nreceivers: [{name: team}]\n")
    found = load(plain)
    assert list(found.receivers) == ["team"]
    assert found.settings.escalation.chains == {}


def test_the_alertmanager_part_may_be_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: team}\nreceivers: [{name: team}]\n")
    native = tmp_path / "dispatch.yml"
    native.write_text(
        "alertmanager: alertmanager.yml\nchains: {c: {steps: [{step: receiver, receiver: team}]}}\n"
        "escalations: [{chain: c}]\n"
    )
    assert list(load(native).settings.escalation.chains) == ["c"]
    (tmp_path / "alertmanager.yml").write_text("route:\n  receiver: nobody\nreceivers: [{name: team}]\n")
    with pytest.raises(SentinelError, match=r"alertmanager\.yml, line 2: route\.receiver: there is no receiver"):
        load(native)


def test_alerts_of_a_tenant_go_its_own_way_and_all_others_the_operators() -> None:
    assert receivers({"tenant_id": "acme", "severity": "critical"}) == ["acme/mail"]
    assert receivers({"tenant_id": "acme", "severity": "info"}) == ["acme/silent"]
    assert receivers({"tenant_id": "other", "severity": "critical"}) == ["pager"]
    assert receivers({"severity": "info"}) == ["team"]


def test_names_of_a_tenant_are_its_own() -> None:
    found = load(FILE).settings
    assert set(found.escalation.chains) == {"urgent", "acme/urgent"}
    assert set(found.escalation.roster.people) == {"ada", "bob", "acme/ada"}
    assert found.escalation.roster.people["acme/ada"].receivers == ("acme/mail",)
    assert [rule.chain for rule in found.escalation.rules] == ["urgent", "acme/urgent"]
    assert {each.window.name for each in found.maintenance} == {"sundays", "acme/move"}
    (rule,) = found.inhibit_rules
    assert {str(matcher) for matcher in rule.target} == {'severity="info"', 'tenant_id="acme"'}


def test_the_operators_chains_leave_groups_of_tenants_with_a_tree_alone() -> None:
    (operators, tenants) = load(FILE).settings.escalation.rules
    assert {str(matcher) for matcher in operators.matchers} == {'severity="critical"', 'tenant_id!="acme"'}
    assert {str(matcher) for matcher in tenants.matchers} == {'tenant_id="acme"'}


def test_alerts_of_definitions_go_to_the_receivers_they_name_and_nowhere_else() -> None:
    assert receivers({"alert_id": "many", "severity": "info"}) == ["pager", "bob-phone"]
    assert receivers({"alert_id": "acme.slow", "tenant_id": "acme", "severity": "info"}) == ["acme/mail"]
    ours, theirs = load(FILE).definitions
    assert (ours.alert_id, ours.tenant_id) == ("many", None)
    assert (theirs.alert_id, theirs.tenant_id) == ("acme.slow", "acme")


def test_throttles_are_of_receivers_and_tenants_by_their_names_in_the_whole() -> None:
    found = load(FILE).settings.throttles
    assert set(found.receivers) == {"team", "acme/mail"}
    assert found.each_tenant == Rate(notices=200, per="1h")
    assert found.tenants == {"acme": Rate(notices=50, per="1h")}


def test_a_storm_is_one_of_a_tenant_by_the_limit_of_its_tree_or_the_operators() -> None:
    assert load(FILE).settings.storms == StormLimits(each=StormLimit(groups=50))


def test_times_of_day_are_texts_and_no_numbers_of_yaml_1_1() -> None:
    night = load(FILE).settings.escalation.roster.schedules["ops"].layers[1]
    assert night.hours is not None
    assert (night.hours.start, night.hours.end) == ("22:00", "06:00")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("duration: 5m}", "duration: 5x}", "chains.urgent.steps[1].duration: expected str matching regex"),
        ("people: [bob], important", "people: [eve], important", "steps[2].people[0]: there is no person eve"),
        ("Europe/Berlin", "Europe/Berln", "schedules.ops.timezone: Europe/Berln is no time zone"),
        ("people: [ada, bob]", "people: [ada, eve]", "schedules.ops.layers[0].people[1]: there is no person eve"),
        ("duration: 2h", "duration: 9d", "maintenance[0].duration: 9d is longer than 7d"),
        ("important: [bob-phone]", "important: [phone]", "people.bob.important[0]: there is no receiver phone"),
        ("chain: urgent", "chain: urgnt", "escalations[0].chain: there is no chain urgnt; there are urgent"),
        ("acknowledge_timeout", "ack_timeout", "chains.urgent.ack_timeout: no key has this name here"),
        ("step: receiver", "step: reciever", "tenants.acme.chains.urgent.steps[1].step: invalid value"),
        ("first_turn: 2026-11-02T09:00", "first_turn: 2026-02-30T09:00", "layers[0].first_turn: 2026-02-30T09:00"),
        ("'alertname=~\".+\"'", "'alertname=~\".*\"'", "maintenance[0].matchers: at least one matcher must not match"),
        ("'alertname=~\".+\"'", "'alertname=~\"(\"'", "maintenance[0].matchers[0]: '(' is no regular expression"),
        (
            "metric: latency_ms_p95",
            "metric: latency",
            "acme.definitions[0].conditions.metric: latency is no field here",
        ),
        ("receivers: [pager, bob", "receivers: [page, bob", "config.receivers: there is no receiver page; there are"),
        ("trigger: anomaly", "trigger: anomalies", "definitions[0].conditions.trigger: invalid value"),
        (
            "team: {notices: 20, per: 1m}",
            "tem: {notices: 20, per: 1m}",
            "throttles.receivers.tem: there is no receiver tem",
        ),
        ("notices: 200, per: 1h", "notices: 200, per: 0s", "throttles.each_tenant.per: 0 is no time"),
        ("storm: {groups: 50}", "storm: {groups: 50, calm: 8d}", "storm.calm: 8d is longer than 7d"),
        ("- receiver: pager", "- receiver: paper", "alertmanager.route.routes[0].receiver: there is no receiver"),
    ],
)
def test_a_mistake_is_named_with_line_path_and_reason(old: str, new: str, problem: str) -> None:
    assert old in TEXT
    changed = TEXT.replace(old, new, 1)
    with pytest.raises(SentinelError, match=re.escape(problem)) as refused:
        parse(changed, "native.yml", FILE.parent)
    number = int(re.search(r"native\.yml, line (\d+): ", str(refused.value)).group(1))  # type: ignore[union-attr]
    assert abs(number - 1 - changed[: changed.index(new)].count("\n")) <= 1


def test_action_of_a_tenants_definition_is_against_its_own_traffic_and_an_operators_names_the_tenant() -> None:
    throttling = "throttling: {max_frequency: 1h, grouping: [model]}"
    shield = throttling + "\n{0}actions:\n{0}  - {type: shield, config: {action: block}}"
    of_tenant, of_operators = (shield.replace("{0}", " " * indent) for indent in (8, 4))
    mail = "actions:\n          - type: notification\n            config: {receivers: [mail]}"
    assert mail in TEXT
    found = parse(TEXT.replace(mail, f"{of_tenant}\n{mail.partition(chr(10))[2]}"), "native.yml", FILE.parent)
    (_, theirs) = found.definitions
    assert [each.type for each in theirs.actions] == ["shield", "notification"]
    assert notification_of(theirs).receivers == ("acme/mail",)
    throttled = "throttling: {max_frequency: 1h, grouping: [application_id]}\n    actions:"
    assert throttled in TEXT
    with pytest.raises(SentinelError, match=r": definitions\[0\]\.actions\[0\]\.type: shield acts on the traffic"):
        parse(TEXT.replace(throttled, of_operators), "native.yml", FILE.parent)


HOOK = "- {type: webhook, config: {url: 'https://hooks.example.org/', timeout: 5s}}"
PAGE = "- {type: incident, config: {service: pagerduty, routing_key: k}}"


def with_actions(*actions: str) -> str:
    """Return the configuration with actions before the notification of the tenant's definition."""
    notified = "actions:\n          - type: notification\n            config: {receivers: [mail]}"
    assert notified in TEXT
    more = "".join(f"\n          {each}" for each in actions)
    return TEXT.replace(notified, f"actions:{more}{notified.removeprefix('actions:')}")


def test_webhook_and_incident_are_receivers_of_the_definition_besides_the_others() -> None:
    found = parse(with_actions(HOOK, PAGE), "native.yml", FILE.parent)
    (_, theirs) = found.definitions
    hook, page = (f"{theirs.alert_id}.webhook[0]", f"{theirs.alert_id}.incident[1]")
    told = [
        route.receiver
        for route in matching_routes(found.settings.route, {"tenant_id": "acme", "alert_id": theirs.alert_id})
    ]
    assert told == [hook, page, "acme/mail"]
    assert [each.kind for each in found.receivers[page].channels] == ["pagerduty"]
    assert [each.name for each in found.settings.receivers[hook]] == ["webhook[0]"]


def test_without_a_notification_the_routes_hear_of_it_too() -> None:
    text = with_actions(HOOK).replace(
        "- type: notification\n            config: {receivers: [mail]}", "- type: notification"
    )
    found = parse(text, "native.yml", FILE.parent)
    (_, theirs) = found.definitions
    labels = {"tenant_id": "acme", "alert_id": theirs.alert_id, "severity": "critical"}
    told = [route.receiver for route in matching_routes(found.settings.route, labels)]
    assert told == [f"{theirs.alert_id}.webhook[0]", "acme/mail"]


@pytest.mark.parametrize(
    ("action", "problem"),
    [
        ("- {type: webhook, config: {ur: x}}", "actions[0].config.ur: no key has this name here"),
        ("- {type: webhook}", "actions[0].config: one of url and url_file must be configured"),
        ("- {type: incident, config: {service: mail}}", "actions[0].config.service: an incident is opened in one of"),
        ("- {type: incident, config: {service: jira}}", "actions[0].config.project: required, but missing"),
    ],
)
def test_a_mistake_in_an_action_is_named_with_its_path(action: str, problem: str) -> None:
    with pytest.raises(SentinelError, match=re.escape(f"tenants.acme.definitions[0].{problem}")):
        parse(with_actions(action), "native.yml", FILE.parent)
