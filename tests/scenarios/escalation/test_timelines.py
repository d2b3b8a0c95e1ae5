"""Timelines of escalation, each with what is expected of it: the same lines with a restart after every happening."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli.alerts import alerts
from jobs.dispatch.native_configuration import load
from jobs.dispatch.simulation import Simulation
from jobs.dispatch.timeline_file import load_timeline
from jobs.errors import SentinelError

FOLDER = Path(__file__).parent
CONFIG = FOLDER / "config.yml"
TIMELINES = sorted((FOLDER / "timelines").glob("*.yml"))


@pytest.mark.parametrize("restarts", [False, True], ids=["straight", "restarted"])
@pytest.mark.parametrize("file", TIMELINES, ids=[file.stem for file in TIMELINES])
def test_timeline_tells_who_is_expected(file: Path, restarts: bool) -> None:  # noqa: FBT001 - a parameter of pytest's
    timeline = load_timeline(file)
    lines = Simulation(load(CONFIG).settings, timeline, restarts=restarts).run()
    assert timeline.expect is not None
    assert [line.text for line in lines if line.told] == list(timeline.expect)


def test_the_command_prints_who_is_told_and_with_why_the_decisions_too() -> None:
    file = FOLDER / "timelines" / "nobody-on-call.yml"
    plain = CliRunner().invoke(alerts, ["simulate", str(CONFIG), str(file)])
    assert plain.exit_code == 0
    assert plain.output.splitlines() == ['+30s mail: first notification, {alertname="Printer"}']
    explained = CliRunner().invoke(alerts, ["simulate", "--why", str(CONFIG), str(file)])
    assert "+30s - mail: nobody on call (office)" in explained.output.splitlines()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "until: 1m\ntimeline: [{at: 0s, fire: {alertname: Slow}}]\nexpect: []\n",
            r"line 1 was expected to be `nothing more`, and is `\+30s mail: first",
        ),
        ("until: 1m\ntimeline: [{at: 0s}]\n", r"timeline\[0\]: give exactly one of fire, resolve"),
        ("until: 1m\ntimeline: [{at: 0s, resolve: {a: b}}]\n", r'timeline\[0\] at 0s: no alert with \{a="b"\} fires'),
        ("until: soon\ntimeline: [{at: 0s, restart: true}]\n", r"is no timeline: Expected `str` matching regex"),
        ("until: 1m\ntimeline: [{at: 0s, silence: ['a=b']}]\n", r"timeline\[0\]: a silence needs a duration"),
        ("until: 1m\n  timeline: [\n", r"line 2: this is no YAML"),
    ],
)
def test_a_timeline_that_cannot_be_played_or_ends_otherwise_is_one_clear_sentence(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "timeline.yml"
    file.write_text(text)
    found = CliRunner().invoke(alerts, ["simulate", str(CONFIG), str(file)])
    assert isinstance(found.exception, SentinelError)
    with pytest.raises(SentinelError, match=problem):
        raise found.exception
