"""`sentinel send` and `sentinel keys`: telemetry by hand, and the keys that ingestion asks for."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from jobs.cli.keys import keys
from jobs.cli.send import send
from jobs.errors import SentinelError
from tests.ingestion import EVENT, running


def run(command: Any, *arguments: str, stdin: str | None = None) -> str:
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer()
        app.command()(command)
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_calls_made_by_hand_are_taken_with_a_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    key = run(keys, "new", "acme", "--file", str(file), "--note", "by hand").strip()
    with running(tmp_path, "auth: {keys: keys.yaml}") as front:
        to = ("--to", front.http, "--api-key", key)
        assert "accepted: 1 of 1" in run(send, *to, "--latency-ms", "900000", "--user", "u-1")
        assert "accepted: 250 of 250" in run(send, *to, "--calls", "250", "--error", "500")
        first, *others = front.events()
        assert (first.tenant_id, first.data.latency_ms, first.data.total_tokens) == ("acme", 900_000, 700)
        assert first.data.cost is not None
        assert len({event.event_id for event in others}) == 250
        assert [event.timestamp for event in others] == sorted(event.timestamp for event in others)
        assert {event.event_type for event in others} == {"llm.error"}
        with pytest.raises(SentinelError, match="answered 401"):
            run(send, "--to", front.http)
        run(keys, "disable", key.split("_")[1], "--file", str(file))
        front.front.reload(None)
        with pytest.raises(SentinelError, match="answered 403"):
            run(send, *to)
    assert "disabled" in run(keys, "list", "--file", str(file))


def test_a_file_is_sent_and_its_bad_lines_are_named(tmp_path: Path) -> None:
    events = [EVENT | {"event_id": f"e-{number}"} for number in range(3)]
    lines = "\n".join([*map(json.dumps, events), '{"event_id": 5}'])
    file = tmp_path / "calls.jsonl"
    with running(tmp_path) as front:
        file.write_text("\n".join(map(json.dumps, events)))
        assert "accepted: 3 of 3" in run(send, str(file), "--to", front.http)
        assert "accepted: 3 of 3" in run(send, "-", "--to", front.http, stdin=file.read_text() + "\n")
        file.write_text(lines)
        with pytest.raises(SentinelError, match="1 events were rejected"):
            run(send, str(file), "--to", front.http)
        assert len(front.events()) == 9


def test_mistakes_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SentinelError, match="does not answer at "):
        run(send, "--to", "http://127.0.0.1:1")
    with running(tmp_path) as front, pytest.raises(SentinelError, match=r"cannot read .*nothing"):
        run(send, str(tmp_path / "nothing"), "--to", front.http)
    (tmp_path / "keys.yaml").write_text("keys: 5")
    with pytest.raises(SentinelError, match="not valid"):
        run(keys, "list", "--file", str(tmp_path / "keys.yaml"))
    with pytest.raises(SentinelError, match="no key abc"):
        run(keys, "disable", "abc", "--file", str(tmp_path / "none.yaml"))


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(SentinelError, match="--to: gateway:4318 is no address"):
        run(send, "--to", "gateway:4318")
