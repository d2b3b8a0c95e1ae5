"""The command `sentinel replay`: files that repeat, truth beside them, one sentence for every mistake."""

import gzip
from pathlib import Path

import fastavro
import msgspec
import pytest
import typer
from typer.testing import CliRunner

from jobs.backtest.telemetry import read_avro, read_lines, read_records
from jobs.cli.replay import replay
from jobs.errors import SentinelError
from jobs.replay.faults import FaultKind
from jobs.replay.truth import PlantedFault
from schemas.avro import decode_event_avro
from schemas.avro_schema import avro_schema
from schemas.codec import decode_event
from schemas.telemetry import TelemetryEvent
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


def test_avro_file_holds_the_events_of_the_lines(tmp_path: Path) -> None:
    size = ("--applications", "3", "--rate", "8", "--duration", "2m", "--plan", "none")
    lines, file = tmp_path / "a.jsonl", tmp_path / "a.avro"
    _run(*size, "--out", str(lines))
    _run(*size, "--out", str(file), "--format", "avro")
    records, telemetry_format = read_records(file)
    assert telemetry_format == "avro"
    assert [decode_event_avro(record) for record in records] == [decode_event(line) for line in read_lines(lines)]


def test_avro_file_of_another_version_is_read(tmp_path: Path) -> None:
    """A writer that knows fewer fields, and one more than we do: what is missing is null, what is new is left out."""
    schema = avro_schema(TelemetryEvent)
    own = [field for field in schema["fields"] if field["name"] not in {"tenant_id", "span_id"}]
    foreign = [*own, {"name": "shard", "type": "long", "default": 0}]
    event = {"timestamp": 1_790_000_000_000, "event_type": "llm.trace", "data": {}, "schema_version": "1.1", "shard": 7}
    names = {"event_id": "1", "application_id": "a", "source": {"service": "s", "host": "h"}}
    path = tmp_path / "other.avro"
    with path.open("wb") as file:
        fastavro.writer(file, schema | {"fields": foreign}, [event | names])
    [record] = read_avro(path)
    found = decode_event_avro(record)
    assert (found.event_id, found.schema_version, found.tenant_id) == ("1", "1.1", None)


@pytest.mark.parametrize("content", [b"", b"{}", b"Obj\x01", b"Obj\x01" + bytes(100)])
def test_file_that_is_not_avro_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.avro"
    path.write_bytes(content)
    with pytest.raises(SentinelError, match=r"cannot read .*wrong.avro as an Avro file") as refused:
        list(read_avro(path))
    assert "\n" not in str(refused.value)


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
        (("--format", "avro"), "out.jsonl and --format avro differ"),
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
