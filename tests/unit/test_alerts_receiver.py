"""`sentinel alerts test-receiver` sends an example and says what came of it; the page on messages shows what holds."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli.alerts import alerts
from jobs.dispatch.channels.template_files import template_set
from jobs.dispatch.configuration import load, parse
from jobs.errors import SentinelError
from schemas.yaml_document import read_yaml
from tests.documents import DOCUMENTS, blocks_of
from tests.receiving import Answering, receiving
from udfs.alerting.receivers.decoding import defaults_of, receivers_of

PAGE = DOCUMENTS / "messages.md"
CONFIGURATION = """
route: {{receiver: ops}}
receivers:
- name: ops
  webhook_configs: [{{url: '{url}'}}, {{url: '{url}/second'}}]
"""


def test_example_goes_to_every_channel(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    with receiving() as server:
        file.write_text(CONFIGURATION.format(url=server.url))
        argv = ["test-receiver", str(file), "ops", "--resolved", "--allow-network", "127.0.0.0/8"]
        done = CliRunner().invoke(alerts, argv)
        assert done.exit_code == 0, done.output
        assert done.output.splitlines() == [
            f"webhook[{i}]  {state}: sent (status 200)" for i in (0, 1) for state in ("firing", "resolved")
        ]
        assert [got.json()["status"] for got in server.got] == ["firing", "resolved"] * 2
        assert "This is a test" in server.got[0].json()["alerts"][0]["annotations"]["description"]
        server.script = [Answering(500), Answering(200)]
        done = CliRunner().invoke(alerts, [*argv[:3], "--allow-network", "127.0.0.0/8"])
    assert "webhook[0]  firing: failed, another try may succeed (server_error): status 500: ok" in done.output
    assert isinstance(done.exception, SentinelError)
    assert str(done.exception) == "1 of 2 messages did not arrive."


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nobody"], "has no receiver nobody; it has ops."),
        (["ops", "--channel", "slack[0]"], "Receiver ops has webhook[0], webhook[1]."),
        (["ops", "--allow-network", "10.0.0.1/8"], "--allow-network: 10.0.0.1/8 has host bits set."),
    ],
)
def test_mistake_is_one_sentence(arguments: list[str], problem: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(CONFIGURATION.format(url="http://127.0.0.1:9"))
    done = CliRunner().invoke(alerts, ["test-receiver", str(file), *arguments])
    assert isinstance(done.exception, SentinelError)
    assert str(done.exception).endswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "slack_configs: [{api_url: 'https://x.example.org/', title: '{{ .Status '}]",
            "slack[0].title: template, line 1",
        ),
        ("pagerduty_configs: [{routing_key: k, details: {a: '{{ nothing 1 }}'}}]", 'function "nothing" not defined'),
        ("email_configs: [{to: a@b, headers: {Subject: '{{ template \"x\" . }}'}}]", 'template "x" not defined'),
    ],
)
def test_text_of_a_channel_that_cannot_be_told_is_found_by_check_config(
    text: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "alertmanager.yml"
    mail = "global: {smtp_from: a@b, smtp_smarthost: 'b:25'}"
    file.write_text(f"{mail}\nroute: {{receiver: ops}}\nreceivers:\n- name: ops\n  {text}\n")
    run = CliRunner().invoke(alerts, ["check-config", str(file)])
    assert run.exit_code != 0
    assert problem in run.output
    assert "receiver ops" in run.output


def test_template_file_that_is_wrong_is_found_by_check_config(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(CONFIGURATION.format(url="http://127.0.0.1:9") + "templates: ['*.tmpl']\n")
    (tmp_path / "mine.tmpl").write_text('{{ define "mine" }}\n{{ .Status | nonsense }}{{ end }}')
    with pytest.raises(SentinelError, match=r'^template "mine.tmpl", line 2: function "nonsense" not defined\.$'):
        template_set(load(file))
    assert "line 2" in CliRunner().invoke(alerts, ["check-config", str(file)]).output


def test_configurations_shown_are_read() -> None:
    shown = [read_yaml(block.text) for block in blocks_of(PAGE) if block.language == "yaml"]
    (ops,) = receivers_of(shown[0]["receivers"], defaults_of(shown[0]["global"]))
    assert [each.key for each in ops.channels] == ["webhook[0]", "pagerduty[0]", "log[0]", "command[0]"]
    text = "route: {receiver: a}\nreceivers: [{name: a}]\n"
    assert parse(text + f"templates: {shown[1]['templates']}", "", Path("/x")).templates == ("/x/templates/*.tmpl",)


def test_pictures_shown_are_there() -> None:
    text = PAGE.read_text()
    pictures = [part.partition(")")[0] for part in text.split("](")[1:] if part.startswith("pictures/")]
    assert len(pictures) == 3
    assert all((DOCUMENTS / each).is_file() for each in pictures)
