"""`sentinel alerts` without a running dispatch: configurations and routes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.cli.alerts import alerts
from jobs.errors import SentinelError
from tests.documents import DOCUMENTS, blocks_of

_TEXT = """
route:
  receiver: team
  routes:
  - matchers: [severity=critical]
    receiver: page
    continue: true
    mute_time_intervals: [nights]
  - {matchers: ['model=~gpt.*'], receiver: mail}
receivers: [{name: team}, {name: page}, {name: mail}]
time_intervals:
- name: nights
  time_intervals:
  - {times: [{start_time: '22:00', end_time: '24:00'}], location: Europe/Berlin}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a configuration as the documentation has it."""
    (tmp_path / "alertmanager.yml").write_text(_TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(alerts, list(arguments))


def test_configuration_is_checked_and_counted(folder: Path) -> None:
    run = _run("check-config", str(folder / "alertmanager.yml"))
    assert run.exit_code == 0
    assert "SUCCESS\nFound:\n - global config\n - route\n - 0 inhibit rules\n - 3 receivers\n" in run.stdout


def test_wrong_configuration_is_said_and_fails(folder: Path) -> None:
    (folder / "wrong.yml").write_text(_TEXT.replace("[nights]", "[days]"))
    run = _run("check-config", "alertmanager.yml", "wrong.yml")
    assert "FAILED: wrong.yml, line 8: route.routes[0].mute_time_intervals[0]: there is no time interval 'days'" in (
        run.stdout
    )
    assert isinstance(run.exception, SentinelError)
    assert str(run.exception) == "1 of 2 configurations cannot be used."


def test_routes_of_an_alert_are_named_and_those_that_are_mute_at_a_time(folder: Path) -> None:
    assert folder.exists()
    at = "2026-11-26T22:30:00+01:00"
    run = _run("routes", "test", "--config.file", "alertmanager.yml", "--at", at, "severity=critical", "model=gpt-4o")
    assert run.stdout.splitlines() == [
        "page,mail",
        'page by {}/{severity="critical"} is mute: muted by interval (nights)',
        'mail by {}/{model=~"gpt.*"} speaks',
    ]


def test_other_receivers_than_expected_fail(folder: Path) -> None:
    assert folder.exists()
    expected = ["--config.file", "alertmanager.yml", "--verify.receivers"]
    assert _run("routes", "test", *expected, "team", "severity=info").exit_code == 0
    assert _run("routes", "test", *expected, "page", "severity=info").exit_code == 1


@pytest.mark.parametrize(("label", "said"), [("a b", "is no label: bad matcher format"), ("a!=b", "name=value")])
def test_what_is_no_label_is_refused(folder: Path, label: str, said: str) -> None:
    assert folder.exists()
    run = _run("routes", "test", "--config.file", "alertmanager.yml", label)
    assert isinstance(run.exception, SentinelError)
    assert said in str(run.exception)


def test_commands_of_the_documentation_work(folder: Path) -> None:
    assert folder.exists()
    [block] = [each for each in blocks_of(DOCUMENTS / "alerting-semantics.md") if each.language == "sh"]
    for line in block.text.splitlines():
        run = _run(*line.removeprefix("sentinel alerts ").split())
        assert run.exit_code == 0, line
