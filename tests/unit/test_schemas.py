"""The published schemas say what the structs and codecs do, and released records stay readable."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from jobs.cli import schemas as command
from jobs.detection.settings import configuration_schema
from jobs.detection.settings import read as read_configuration
from jobs.dispatch.native_sections import NativeSection, native_schema
from jobs.errors import SentinelError
from schemas.avro import encode_avro
from schemas.avro_schema import avro_schema, flink_telemetry_columns, flink_telemetry_schema
from schemas.codec import decode_event, decode_record, encode
from schemas.json_schema import PUBLISHED, json_schema
from schemas.published_files import EXAMPLES
from schemas.refusal import DecodeError
from schemas.telemetry import TelemetryEvent
from tests import strategies
from tests.bad_records import bad_records

CONFIGURATIONS: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[bytes], msgspec.Struct]]] = {
    "configuration": (configuration_schema, read_configuration),
    "dispatch-configuration": (native_schema, msgspec.json.Decoder(NativeSection).decode),
}
"""The schemas that are made of the settings of a process, not of a record, and how each is read."""
GOLDEN = Path(__file__).parents[1] / "golden" / "wire"
RECORDS = {
    "telemetry": strategies.telemetry_events,
    "anomaly": strategies.anomalies,
    "incident": strategies.incidents,
    "metrics-aggregation": strategies.summaries,
    "dead-letter": strategies.dead_letters,
    "alert-definition": strategies.alert_definitions,
    "rule": strategies.rules,
    "published-model": strategies.published_models,
    "feedback": strategies.feedback,
    "alert-change": strategies.alert_changes,
    "action": strategies.actions,
}


def examples(kind: str) -> list[Any]:
    folder = command.PUBLISHED / EXAMPLES
    return [
        pytest.param(path.parent.name, path.read_bytes(), id=f"{path.parent.name}-{path.stem}")
        for path in sorted(folder.glob(f"*/{kind}-*.json"))
    ]


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(CONFIGURATIONS[name][0]() if name in CONFIGURATIONS else json_schema(name))


def decode(name: str, value: bytes) -> msgspec.Struct:
    if name in CONFIGURATIONS:
        return CONFIGURATIONS[name][1](value)
    return decode_event(value) if name == "telemetry" else decode_record(value, PUBLISHED[name])


def test_published_files_are_up_to_date() -> None:
    command.check(command.PUBLISHED)


def test_check_names_the_file_that_differs_and_generate_repairs_it(tmp_path: Path) -> None:
    command.generate(tmp_path)
    (tmp_path / "rule.schema.json").write_text("{}")
    (tmp_path / "anomaly.avsc").unlink()
    (tmp_path / "withdrawn.schema.json").write_text("{}")

    with pytest.raises(SentinelError, match=r"anomaly\.avsc, rule\.schema\.json, withdrawn\.schema\.json"):
        command.check(tmp_path)

    assert [path.name for path in command.generate(tmp_path)] == [
        "anomaly.avsc",
        "rule.schema.json",
        "withdrawn.schema.json",
    ]
    command.check(tmp_path)


@pytest.mark.parametrize("name", [*PUBLISHED, *CONFIGURATIONS])
def test_published_schema_is_valid_json_schema_of_2020_12(name: str) -> None:
    Draft202012Validator.check_schema(validator(name).schema)


@pytest.mark.parametrize("name", [*PUBLISHED, *CONFIGURATIONS])
def test_every_published_schema_has_several_examples_of_both_kinds(name: str) -> None:
    folder = command.PUBLISHED / EXAMPLES / name
    assert len(list(folder.glob("valid-*.json"))) >= 3
    assert len(list(folder.glob("invalid-*.json"))) >= 2


@pytest.mark.parametrize(("name", "value"), examples("valid"))
def test_valid_example_is_accepted_by_schema_and_codec(name: str, value: bytes) -> None:
    validator(name).validate(json.loads(value))
    record = decode(name, value)
    assert decode(name, encode(record)) == record


@pytest.mark.parametrize(("name", "value"), examples("invalid"))
def test_invalid_example_is_refused_by_schema_and_codec(name: str, value: bytes) -> None:
    assert not validator(name).is_valid(json.loads(value))
    with pytest.raises((DecodeError, ValueError)):
        decode(name, value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_sentinel_writes_meets_its_published_schema(name: str) -> None:
    judge = validator(name)

    @settings(max_examples=25)
    @given(RECORDS[name])
    def holds(record: msgspec.Struct) -> None:
        judge.validate(json.loads(encode(record)))

    holds()


@settings(max_examples=150)
@given(
    strategies.telemetry_events,
    st.sampled_from(["event_id", "timestamp", "event_type", "tenant_id", "data", "source", "metadata", "trace_id"])
    | st.sampled_from(["latency_ms", "prompt_tokens", "cost", "model", "status", "metric_name", "context", "stream"]),
    strategies.json_values | st.sampled_from(["", "x" * 257, 1e10, 12.0, 0.5, "2026-11-24T09:30:00Z", "llm.trace"]),
)
def test_schema_and_codec_agree_on_every_event(event: TelemetryEvent, field: str, value: object) -> None:
    loose = msgspec.to_builtins(event)
    (loose if hasattr(event, field) else loose["data"])[field] = value
    raw = msgspec.json.encode(loose)
    try:
        decode_event(raw)
        accepted = True
    except DecodeError:
        accepted = False
    assert validator("telemetry").is_valid(json.loads(raw)) == accepted


def test_schema_refuses_what_the_codec_refuses_for_its_content() -> None:
    judge = validator("telemetry")
    # A schema cannot say that a month has no such day, that a number overflows, or how deep a value may nest.
    beyond_schemas = ("400 digits", "1e999", "02-30", "levels", "a second value", "5 MB", "surrogate")
    for record in bad_records(231):
        try:
            parsed = json.loads(record.value)
        except (ValueError, RecursionError):
            continue
        if any(part in record.name for part in beyond_schemas):
            continue
        if record.reason.value.startswith("not_") and not isinstance(parsed, list | str | int | float | None):
            continue  # Python's parser takes more for JSON than JSON is: NaN, line breaks in texts.
        assert not judge.is_valid(parsed), record.name


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_released_record_is_still_read_and_nothing_of_it_is_lost(path: Path) -> None:
    name = path.name.split(".")[0]
    rewritten = json.loads(encode(decode(name, path.read_bytes())))
    assert rewritten | json.loads(path.read_bytes()) == rewritten


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.avro")), ids=lambda path: path.stem)
def test_released_avro_telemetry_stays_the_same_byte_for_byte(path: Path) -> None:
    # Plain Avro carries no schema: a field more, and older readers take its bytes for the next record's.
    assert encode_avro(decode_event(path.with_suffix(".json").read_bytes())) == path.read_bytes()


def test_flink_derives_our_avro_schema_from_our_columns() -> None:
    # As AvroSchemaConverter of Flink 2.3.0 derived it from these columns; nullable fields got the default null there.
    derived = json.loads((GOLDEN / "flink-2.3.0-telemetry.avsc").read_text())
    assert without_defaults(flink_telemetry_schema()) == without_defaults(derived)
    assert flink_telemetry_columns() + "\n" == (GOLDEN / "flink-2.3.0-telemetry.sql").read_text()


def test_flink_names_change_nothing_but_names() -> None:
    assert without_names(flink_telemetry_schema()) == without_names(avro_schema(TelemetryEvent))


def without_defaults(schema: Any) -> Any:
    return without(schema, {"default"})


def without_names(schema: Any) -> Any:
    return without(schema, {"default", "namespace", "name"})


def without(schema: Any, keys: set[str]) -> Any:
    if isinstance(schema, list):
        return [without(part, keys) for part in schema]
    if isinstance(schema, dict):
        return {key: without(part, keys) for key, part in schema.items() if key not in keys}
    return schema
