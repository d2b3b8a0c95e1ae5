"""Configurations: what Alertmanager accepts is accepted, and a mistake is named by line, path and reason."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from jobs.dispatch.configuration import ConfigurationError, load, parse
from jobs.errors import SentinelError
from udfs.alerting.interval import TimeInterval
from udfs.alerting.matcher import MatchKind
from udfs.alerting.settings import Channel

_RECEIVERS = "receivers: [{name: a}, {name: b}]\n"

# What is wrong, what is said, and whether Alertmanager 0.25 refuses it too.
_REFUSED = {
    "empty": ("", 1, "", "nothing in it"),
    "no mapping": ("[]", 1, "", "a mapping is wanted"),
    "no YAML": ("route: {}}", 1, "", "this is no YAML"),
    "no route": (_RECEIVERS, 1, "", "there is no route"),
    "unknown key": (_RECEIVERS + "rout: {}", 2, "rout", "did you mean route?"),
    "key twice": (_RECEIVERS + "route: {receiver: a}\nroute: {receiver: b}", 3, "route", "stands here twice"),
    "unknown key of a route": (
        _RECEIVERS + "route:\n  receiver: a\n  routes:\n  - group_wait_s: 1",
        5,
        "route.routes[0].group_wait_s",
        "did you mean group_wait?",
    ),
    "root without receiver": (_RECEIVERS + "route: {group_by: [x]}", 2, "route", "needs a receiver"),
    "root with matchers": (
        _RECEIVERS + "route:\n  receiver: a\n  matchers: [x=y]",
        4,
        "route.matchers",
        "must not have any matchers",
    ),
    "root with match": (_RECEIVERS + "route: {receiver: a, match: {x: y}}", 2, "route.match", "must not have any"),
    "root with match_re": (_RECEIVERS + "route: {receiver: a, match_re: {x: y}}", 2, "route.match_re", "must not have"),
    "root muted": (
        _RECEIVERS + "time_intervals: [{name: n}]\nroute: {receiver: a, mute_time_intervals: [n]}",
        3,
        "route.mute_time_intervals",
        "must not have any time intervals",
    ),
    "root sometimes active": (
        _RECEIVERS + "time_intervals: [{name: n}]\nroute: {receiver: a, active_time_intervals: [n]}",
        3,
        "route.active_time_intervals",
        "must not have any time intervals",
    ),
    "root continues": (_RECEIVERS + "route: {receiver: a, continue: true}", 2, "route.continue", "no siblings"),
    "unknown receiver": (_RECEIVERS + "route: {receiver: c}", 2, "route.receiver", "there is no receiver 'c'"),
    "unknown receiver below": (
        _RECEIVERS + "route:\n  receiver: a\n  routes:\n  - routes:\n    - receiver: c",
        6,
        "route.routes[0].routes[0].receiver",
        "there is no receiver 'c'",
    ),
    "unknown interval": (
        _RECEIVERS + "route:\n  receiver: a\n  routes:\n  - mute_time_intervals: [n]",
        5,
        "route.routes[0].mute_time_intervals[0]",
        "there is no time interval 'n'",
    ),
    "group_by with all": (_RECEIVERS + "route: {receiver: a, group_by: [x, ...]}", 2, "route.group_by", "all labels"),
    "group_by twice": (_RECEIVERS + "route: {receiver: a, group_by: [x, x]}", 2, "route.group_by[1]", "here twice"),
    "no duration": (_RECEIVERS + "route: {receiver: a, group_wait: 5}", 2, "route.group_wait", "is no duration"),
    "no whole duration": (_RECEIVERS + "route: {receiver: a, group_wait: 1.5s}", 2, "route.group_wait", "no duration"),
    "group_interval zero": (_RECEIVERS + "route: {receiver: a, group_interval: 0s}", 2, "route.group_interval", "zero"),
    "repeat_interval zero": (
        _RECEIVERS + "route: {receiver: a, repeat_interval: 0}",
        2,
        "route.repeat_interval",
        "zero",
    ),
    "bad expression": (
        _RECEIVERS + "route: {receiver: a, routes: [{matchers: ['x=~\"(\"']}]}",
        2,
        "route.routes[0].matchers[0]",
        "no regular expression (RE2): missing )",
    ),
    "expression of another kind": (
        _RECEIVERS + "route: {receiver: a, routes: [{match_re: {x: '(?=y)'}}]}",
        2,
        "route.routes[0].match_re.x",
        "invalid perl operator",
    ),
    "no matcher": (
        _RECEIVERS + "route: {receiver: a, routes: [{matchers: [x]}]}",
        2,
        "route.routes[0].matchers[0]",
        "bad matcher format: x",
    ),
    "matchers no list": (
        _RECEIVERS + "route: {receiver: a, routes: [{matchers: x=y}]}",
        2,
        "route.routes[0].matchers",
        "a list is wanted",
    ),
    "old matcher of a new name": (
        _RECEIVERS + "route: {receiver: a, routes: [{match: {x.y: z}}]}",
        2,
        "route.routes[0].match.x.y",
        "is no name of a label here",
    ),
    "receiver twice": (
        "receivers:\n- name: a\n- name: a\nroute: {receiver: a}",
        3,
        "receivers[1].name",
        "the name a is not unique",
    ),
    "receiver without name": ("receivers: [{}]\nroute: {receiver: a}", 1, "receivers[0].name", "needs a name"),
    "unknown channel": (
        "receivers: [{name: a, pigeon_configs: []}]\nroute: {receiver: a}",
        1,
        "receivers[0].pigeon_configs",
        "no key of a receiver has this name",
    ),
    "webhook without url": (
        "receivers:\n- name: a\n  webhook_configs:\n  - send_resolved: true\nroute: {receiver: a}",
        4,
        "receivers[0].webhook_configs[0]",
        "url",
    ),
    "unknown global": (_RECEIVERS + "global: {x: 1}\nroute: {receiver: a}", 2, "global.x", "no key has this name"),
    "resolve_timeout": (
        _RECEIVERS + "global: {resolve_timeout: soon}\nroute: {receiver: a}",
        2,
        "global.resolve_timeout",
        "'soon' is no duration",
    ),
    "interval without name": (
        _RECEIVERS + "route: {receiver: a}\ntime_intervals: [{time_intervals: []}]",
        3,
        "time_intervals[0]",
        "needs a name",
    ),
    "interval twice": (
        _RECEIVERS + "route: {receiver: a}\nmute_time_intervals: [{name: n}]\ntime_intervals: [{name: n}]",
        4,
        "time_intervals[0].name",
        "n is not unique",
    ),
    "inhibition of a null": (
        _RECEIVERS + "route: {receiver: a}\ninhibit_rules:\n- source_match_re: {x: null}",
        4,
        "inhibit_rules[0].source_match_re.x",
        "a regular expression is wanted",
    ),
    "unknown key of a rule": (
        _RECEIVERS + "route: {receiver: a}\ninhibit_rules: [{target: {}}]",
        3,
        "inhibit_rules[0].target",
        "no key has this name here",
    ),
}
_INTERVALS_REFUSED = {
    "times: [{start_time: '18:00', end_time: '06:00'}]": "a night is two ranges",
    "times: [{start_time: '6:00', end_time: '07:00'}]": "is no time of day",
    "times: [{start_time: '06:00', end_time: '24:01'}]": "is no time of day",
    "times: [{start_time: '06:00'}]": "both start_time and end_time",
    "weekdays: ['friday:monday']": "the week begins on Sunday",
    "weekdays: ['fri']": "'fri' is no day of the week",
    "weekdays: ['monday:tuesday:friday']": "is no range",
    "days_of_month: ['0']": "0 is no day of the month",
    "days_of_month: ['1:32']": "32 is no day of the month",
    "days_of_month: ['-5:5']": "so must the last",
    "days_of_month: ['10:5']": "day 5 is always before day 10",
    "days_of_month: ['20:-20']": "day -20 is always before day 20",
    "days_of_month: ['x']": "'x' is no day of the month",
    "months: ['may:april']": "the first month is after the last",
    "months: ['mai']": "'mai' is no month",
    "years: ['2030:2020']": "the first year is after the last",
    "location: Atlantis/Centre": "is no time zone",
    "hours: []": "no key has this name here",
}
_FULL = """
global: {resolve_timeout: 1m30s, smtp_smarthost: 'localhost:25', smtp_from: a@example.org}
templates: ['templates/*.tmpl']
route:
  receiver: team
  group_by: [model, alertname]
  group_wait: 0s
  routes:
  - matchers: ['severity="critical"', 'tenant_id=~"a|b"']
    receiver: page
    group_by: ['...']
    continue: yes
    repeat_interval: 1d
    active_time_intervals: [office]
    routes:
    - {match: {model: m1}, group_by: []}
  - {match_re: {model: m.*}, group_interval: 10s}
receivers:
- name: team
  email_configs: [{to: b@example.org}]
- name: page
  webhook_configs: [{url: 'http://localhost:1'}, {url: 'http://localhost:2', send_resolved: false}]
inhibit_rules:
- {source_matchers: [severity=critical], target_match: {severity: warning}, equal: [model]}
mute_time_intervals:
- name: office
  time_intervals:
  - times: [{start_time: '09:00', end_time: '24:00'}]
    weekdays: ['monday:Friday', sunday]
    days_of_month: ['1:7', '-3:-1']
    months: ['1', 'may:august']
    years: ['2026:2030', 2040]
    location: Europe/Berlin
"""


@pytest.mark.parametrize("case", _REFUSED)
def test_mistake_is_named_by_line_path_and_reason(case: str) -> None:
    text, line, path, reason = _REFUSED[case]
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "alertmanager.yml", Path())
    assert (caught.value.line, caught.value.path) == (line, path)
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"alertmanager.yml, line {line}: ")


@pytest.mark.parametrize("interval", _INTERVALS_REFUSED)
def test_mistake_in_an_interval_is_named(interval: str) -> None:
    with pytest.raises(ConfigurationError, match="line 5") as caught:
        parse(_with_interval(interval), "alertmanager.yml", Path())
    assert _INTERVALS_REFUSED[interval] in caught.value.reason


def test_every_default_and_everything_inherited_is_filled_in() -> None:
    configuration = parse(_FULL, "alertmanager.yml", Path("/etc/dispatch"))
    settings = configuration.settings
    root, (critical, models) = settings.route, settings.route.routes
    assert settings.resolve_timeout_ms == 90_000
    assert configuration.templates == ("/etc/dispatch/templates/*.tmpl",)
    assert settings.receivers == {
        "team": (Channel("email[0]", send_resolved=False),),
        "page": (Channel("webhook[0]", send_resolved=True), Channel("webhook[1]", send_resolved=False)),
    }
    assert (root.key, root.group_by, root.group_wait_ms) == ("{}", ("alertname", "model"), 0)
    assert (root.group_interval_ms, root.repeat_interval_ms) == (300_000, 14_400_000)
    assert critical.key == '{}/{severity="critical",tenant_id=~"a|b"}'
    assert critical.goes_on
    assert critical.group_by_all
    assert (critical.group_wait_ms, critical.repeat_interval_ms) == (0, 86_400_000)
    assert critical.active_intervals == ("office",)
    (below,) = critical.routes
    assert below.receiver == "page"
    assert (below.group_by, below.group_by_all) == ((), False)
    assert below.active_intervals == ()
    assert (models.receiver, models.group_interval_ms) == ("team", 10_000)
    assert models.matchers[0].kind is MatchKind.REGEX
    (rule,) = settings.inhibit_rules
    assert rule.sources[0].equal == ("model",)
    assert settings.intervals["office"] == (
        TimeInterval(
            times=((540, 1440),),
            weekdays=((1, 5), (0, 0)),
            days_of_month=((1, 7), (-3, -1)),
            months=((1, 1), (5, 8)),
            years=((2026, 2030), (2040, 2040)),
            location="Europe/Berlin",
        ),
    )


def test_null_is_as_good_as_absent() -> None:
    text = _RECEIVERS + "global:\nroute: {receiver: a, group_by: , routes: , matchers: , continue: }\ninhibit_rules:\n"
    assert parse(text, "x", Path()).settings == parse(_RECEIVERS + "route: {receiver: a}", "x", Path()).settings


def test_anchors_and_merged_mappings_are_read() -> None:
    text = _RECEIVERS + "route: {receiver: a, routes: [&one {receiver: b, group_wait: 1s}, {<<: *one, receiver: a}]}"
    first, second = parse(text, "x", Path()).settings.route.routes
    assert (first.receiver, second.receiver, second.group_wait_ms) == ("b", "a", 1_000)


def test_inhibition_by_several_sources_is_read() -> None:
    rule = "{sources: [{matchers: [x=1], equal: [e]}, {matchers: [y=2]}], target_matchers: [z=3], name: both}"
    settings = parse(_RECEIVERS + f"route: {{receiver: a}}\ninhibit_rules: [{rule}]", "x", Path()).settings
    assert [source.equal for source in settings.inhibit_rules[0].sources] == [("e",), ()]


def test_what_has_no_effect_is_said() -> None:
    text = _RECEIVERS + "route: {receiver: a}\ntracing: {endpoint: 'localhost:4317'}"
    assert parse(text, "x", Path()).warnings == ("tracing is accepted but has no effect",)


def test_templates_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "b.tmpl").touch()
    (tmp_path / "a.tmpl").touch()
    file = tmp_path / "alertmanager.yml"
    file.write_text(_RECEIVERS + "route: {receiver: a}\ntemplates: ['*.tmpl', missing.tmpl]")
    assert load(file).template_files() == (tmp_path / "a.tmpl", tmp_path / "b.tmpl")


def test_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SentinelError, match=r"alertmanager.yml cannot be read: No such file or directory\."):
        load(tmp_path / "alertmanager.yml")


@pytest.mark.skipif(
    shutil.which("amtool") is None, reason="amtool (Debian package prometheus-alertmanager) is not here"
)
def test_amtool_refuses_and_accepts_the_same(tmp_path: Path) -> None:
    texts = {name: text for name, (text, *_) in _REFUSED.items()}
    texts |= {interval: _with_interval(interval) for interval in _INTERVALS_REFUSED}
    texts |= {"full": _FULL, "plain": _RECEIVERS + "route: {receiver: a}"}
    for number, text in enumerate(texts.values()):
        (tmp_path / f"{number}.yml").write_text(textwrap.dedent(text))
    files = [f"{number}.yml" for number in range(len(texts))]
    run = subprocess.run(["amtool", "check-config", *files], cwd=tmp_path, capture_output=True, check=False, text=True)
    accepted_files = re.findall(r"Checking '(.*)'  SUCCESS", run.stdout)
    verdicts = {name: file in accepted_files for name, file in zip(texts, files, strict=True)}
    assert {name for name, accepted in verdicts.items() if accepted} == {"full", "plain"}


def _with_interval(interval: str) -> str:
    return _RECEIVERS + f"route: {{receiver: a}}\ntime_intervals:\n- name: n\n  time_intervals: [{{{interval}}}]"
