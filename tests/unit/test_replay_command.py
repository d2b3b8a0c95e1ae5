"""The command `sentinel replay`: files that repeat, truth beside them, one sentence for every mistake."""

import gzip
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from jobs.cli.replay import replay
from jobs.errors import SentinelError
from jobs.replay.faults import FaultKind
from jobs.replay.truth import PlantedFault
from schemas.codec import decode_event
from schemas.time import to_at_ms

START = "2026-11-24T09:00:00Z"


def _run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(replay)
    result = CliRunner().invoke(app, ["--start", START, *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_equal_options_write_equal_files_with_their_truth(tmp_path: Path) -> None:
    size = ("--applications", "9", "--rate", "8", "--duration", "10m")
    said = _run(*size, "--out", str(tmp_path / "a.jsonl"), "--truth", str(tmp_path / "truth.jsonl"))
    _run(*size, "--out", str(tmp_path / "b.jsonl.gz"))
    lines = (tmp_path / "a.jsonl").read_bytes()
    assert lines == gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes())
    events = [decode_event(line) for line in lines.splitlines()]
    at_ms = [to_at_ms(event.timestamp) for event in events]
    assert at_ms == sorted(at_ms)
    assert f"{len(events):,} events to" in said
    told = (tmp_path / "truth.jsonl").read_bytes().splitlines()
    truth = [msgspec.json.decode(line, type=PlantedFault) for line in told]
    assert {fault.kind for fault in truth} == set(FaultKind)
    assert all(at_ms[0] < fault.start_at_ms < at_ms[-1] for fault in truth)
    (absurd,) = [fault for fault in truth if fault.kind is FaultKind.ABSURD]
    assert set(absurd.event_ids) <= {event.event_id for event in events}


def test_a_trace_of_your_own_drives_the_traffic(tmp_path: Path) -> None:
    trace = tmp_path / "mine.csv"
    rows = [f"2026-01-01 00:00:{second:02d}.0000000,{1000 + second},77" for second in range(60)]
    trace.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]) + "\n")
    out = tmp_path / "out.jsonl"
    _run("--trace", str(trace), "--trace-kind", "azure", "--plan", "none", "--duration", "1m", "--out", str(out))
    events = [decode_event(line) for line in out.read_bytes().splitlines()]
    tokens = {(e.data.prompt_tokens, e.data.completion_tokens) for e in events if e.data.prompt_tokens is not None}
    assert tokens == {(1000 + second, 77) for second in range(60)}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--duration", "soon"), "--duration: `soon` is not a duration"),
        (("--duration", "0s"), "--duration is zero"),
        (("--duration", "2m"), "at least 10 minutes"),
        (("--start", "yesterday"), "--start: `yesterday` is not an RFC 3339 time"),
        (("--plan", "no-such.yaml"), "no-such.yaml cannot be read"),
        (("--trace", "x.csv"), "belong together"),
        (("--trace", "x.csv", "--trace-kind", "azure"), "There is no trace file x.csv"),
        (("--format", "avro"), "Avro records have no lines"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(SentinelError) as refused:
        _run("--out", str(tmp_path / "out.jsonl"), *arguments)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unwritable_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SentinelError, match=r"--out: .* cannot be written"):
        _run("--plan", "none", "--duration", "1s", "--out", str(tmp_path / "none" / "out.jsonl"))
    with pytest.raises(SentinelError, match=r"--truth: .* cannot be written"):
        _run("--plan", "none", "--duration", "1s", "--truth", str(tmp_path / "none" / "truth.jsonl"))
