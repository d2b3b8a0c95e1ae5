"""Avro telemetry means what JSON means: the same events, anomalies and refusals, only from other bytes."""

import tracemalloc
from itertools import chain
from random import Random
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.avro import decode_event_avro, encode_avro
from schemas.codec import decode_event, encode
from schemas.dead_letter import RejectReason
from schemas.refusal import DecodeError
from schemas.telemetry import EARLIEST_AT_MS, LATEST_AT_MS, EventType, Metadata, TelemetryEvent
from schemas.time import from_at_ms
from tests import strategies
from tests.bad_avro_records import BadAvroRecord, bad_avro_records, good_loose, number_bytes, written
from tests.calls import START_AT_MS, call, heartbeat, troubled_calls
from tests.told_columns import of_event, of_refusal, told
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.event_columns import EventColumns, read_columns
from udfs.findings import Findings
from udfs.record_block import block_of
from udfs.settings import DetectionSettings

AVRO = DetectionSettings(telemetry_format="avro")
BAD = bad_avro_records()


def read(payloads: list[bytes | None]) -> EventColumns:
    """Return the columns of records."""
    return read_columns(block_of(payloads, range(len(payloads))), "avro")


def outcomes(payloads: list[bytes | None]) -> list[dict[str, object]]:
    """Return what the columns say of every record."""
    columns = read(payloads)
    return [told(columns, position) for position in range(len(payloads))]


def reference(payload: bytes | None) -> dict[str, object]:
    """Return the same by an Avro library, a record at a time."""
    try:
        return of_event(decode_event_avro(payload))
    except DecodeError as error:
        return of_refusal(error)


def is_given_up(payload: bytes) -> bool:
    """Return whether the kernel leaves a record to the library."""
    columns = read([payload])
    return 0 in columns.decoded or 0 in columns.refused


@settings(max_examples=200, deadline=None)
@given(st.lists(strategies.telemetry_events, min_size=1, max_size=5))
def test_batch_decodes_to_the_events_that_were_written(events: list[TelemetryEvent]) -> None:
    payloads = [encode_avro(event) for event in events]
    assert outcomes([*payloads]) == list(map(of_event, events))


@settings(max_examples=200, deadline=None)
@given(strategies.telemetry_events)
def test_events_are_not_given_up(event: TelemetryEvent) -> None:
    """But metrics, which are few, and objects whose JSON is not plain."""
    is_plain = event.data.context is None and (event.metadata is None or event.metadata.attributes is None)
    if is_plain and event.event_type is not EventType.METRIC:
        assert not is_given_up(encode_avro(event))


def test_plain_attributes_are_not_given_up() -> None:
    attributes: dict[str, object] = {"a": {"b": [1, -2.5, True, None, "x", {}, []]}, "c": 12345678}
    event = call(1, START_AT_MS, 0, 100.0)
    event = replace(event, metadata=replace(event.metadata or Metadata(), attributes=attributes, tags={"k": "v"}))
    assert not is_given_up(encode_avro(event))
    assert outcomes([encode_avro(event)]) == [of_event(event)]


@settings(max_examples=300, deadline=None)
@given(strategies.telemetry_events, st.data())
def test_damaged_record_gives_what_an_avro_library_gives(event: TelemetryEvent, data: st.DataObject) -> None:
    encoded = encode_avro(event)
    start = data.draw(st.integers(0, len(encoded)))
    end = data.draw(st.integers(start, min(len(encoded), start + 9)))
    damaged = encoded[:start] + data.draw(st.binary(max_size=9)) + encoded[end:]
    assert outcomes([encoded, damaged, encoded])[1] == reference(damaged)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_what_an_avro_library_gives(value: bytes) -> None:
    assert outcomes([value]) == [reference(value)]


@settings(deadline=None)
@given(st.integers(EARLIEST_AT_MS, LATEST_AT_MS - 1))
def test_time_of_an_event_is_the_text_that_json_has(at_ms: int) -> None:
    event = replace(call(1, START_AT_MS, 0, 100.0), timestamp=from_at_ms(at_ms))
    assert outcomes([encode_avro(event)]) == [of_event(event)]


def test_what_other_libraries_may_write_is_taken() -> None:
    """Maps in several blocks, with or without their sizes; texts of any length; a number longer than need be."""
    loose = good_loose(1, Random(1))
    loose["metadata"]["tags"] = {"a": "b", "c": "d"}
    loose["data"]["prompt"] = "café " * 20_000
    whole = written(loose)
    entries = b"\x02a\x02b", b"\x02c\x02d"
    block = b"\x04" + b"".join(entries) + b"\x00"
    assert block in whole
    sized = number_bytes(-1) + number_bytes(4)
    several = whole.replace(block, sized + entries[0] + sized + entries[1] + b"\x00")
    padded = whole.replace(b"\x0copenai", b"\x8c\x00openai")
    assert outcomes([whole, several, padded]) == [reference(whole)] * 3
    assert not any(map(is_given_up, [whole, several, padded]))


def found_in(records: list[bytes], detection: DetectionSettings) -> Findings:
    """Return what one shard finds in records."""
    shard = ShardDetection(detection, Control({}), 0)
    return shard.on_records(block_of(records, range(len(records))))


def summaries_of(findings: Findings) -> list[bytes]:
    """Return the summaries among what was found."""
    return [encode(each) for each in chain.from_iterable(findings.summaries)]


def test_json_and_avro_give_the_same_anomalies() -> None:
    events = [*troubled_calls(600), decode_event(heartbeat(START_AT_MS + 700_000, 0))]
    by_json = found_in([encode(event) for event in events], DetectionSettings())
    by_avro = found_in([encode_avro(event) for event in events], AVRO)
    assert by_json.anomalies
    assert [encode(each) for each in by_avro.anomalies] == [encode(each) for each in by_json.anomalies]
    assert summaries_of(by_avro) == summaries_of(by_json)
    assert by_avro.shares == by_json.shares


@pytest.mark.parametrize("record", BAD[:47], ids=lambda record: record.name)
def test_bad_record_is_refused_for_its_reason(record: BadAvroRecord) -> None:
    [found] = outcomes([record.value])
    assert found["refused"] == (record.reason, ANY)


def test_bad_records_change_nothing_for_the_good_ones_among_them() -> None:
    good = [encode_avro(event) for event in troubled_calls(120)]
    mixed = [payload for i, each in enumerate(good) for payload in ([each, BAD[i].value] if i < len(BAD) else [each])]
    findings = found_in(mixed, AVRO)
    assert [each.reason for each in findings.dead_letters] == [each.reason for each in BAD]
    assert [each.offset for each in findings.dead_letters] == list(range(1, 2 * len(BAD), 2))
    assert summaries_of(findings) == summaries_of(found_in(good, AVRO))
    assert findings.late == []


def test_length_that_claims_gigabytes_takes_no_memory() -> None:
    claims = [each.value for each in BAD if "of " in each.name and each.reason is RejectReason.NOT_AVRO]
    assert len(claims) > 20
    outcomes([*claims])
    tracemalloc.start()
    try:
        outcomes([*claims])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("size", [0, 1, 63, 64, 255, 256, 257])
def test_labels_are_measured_in_characters(size: int) -> None:
    """Of one, two, three and four bytes."""
    for character in "zé漢😀":
        loose = good_loose(1, Random(1))
        loose["metadata"]["user_id"] = character * size
        payload = written(loose)
        assert outcomes([payload]) == [reference(payload)]
        assert is_given_up(payload) == (size > 256)


@given(st.binary(min_size=1, max_size=8))
def test_texts_are_utf8_or_refused(octets: bytes) -> None:
    """Whatever bytes stand where a text belongs: too long, cut off, surrogates, control characters."""
    loose = good_loose(1, Random(1))
    loose["metadata"]["user_id"] = "~" * len(octets)
    payload = written(loose).replace(b"~" * len(octets), octets)
    assert outcomes([payload]) == [reference(payload)]
