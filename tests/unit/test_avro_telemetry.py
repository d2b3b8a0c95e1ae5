"""Avro telemetry means what JSON means: the same events, anomalies and refusals, only from other bytes."""

import tracemalloc
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro import decode_event_avro, encode_avro
from schemas.codec import decode_event, encode
from schemas.dead_letter import RejectReason
from schemas.refusal import DecodeError
from schemas.telemetry import EARLIEST_AT_MS, LATEST_AT_MS, TelemetryEvent
from schemas.time import from_at_ms, to_at_ms
from tests import strategies
from tests.bad_avro_records import BadAvroRecord, bad_avro_records, good_loose, number_bytes, written
from tests.calls import START_AT_MS, call, heartbeat, troubled_calls
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.findings import Findings
from udfs.record_block import block_of
from udfs.settings import DetectionSettings
from udfs.telemetry_records import avro_records, prepare

AVRO = DetectionSettings(telemetry_format="avro")
BAD = bad_avro_records()


def outcomes(payloads: list[bytes | None]) -> list[tuple[TelemetryEvent, int] | str]:
    """Return event and time of every record, or why it is refused."""
    records, decode = prepare(payloads, "avro")
    found: list[tuple[TelemetryEvent, int] | str] = []
    for record in records:
        try:
            found.append(decode(record))
        except DecodeError as error:
            found.append(str(error))
    return found


def reference(payload: bytes | None) -> tuple[TelemetryEvent, int] | str:
    """Return the same by an Avro library, a record at a time."""
    try:
        event = decode_event_avro(payload)
    except DecodeError as error:
        return str(error)
    return event, to_at_ms(event.timestamp)


def is_given_up(payload: bytes) -> bool:
    """Return whether the kernel leaves a record to the library."""
    [(_, _, at_ms, _)] = avro_records([payload])
    return at_ms < 0


@settings(max_examples=200, deadline=None)
@given(st.lists(strategies.telemetry_events, min_size=1, max_size=5))
def test_batch_decodes_to_the_events_that_were_written(events: list[TelemetryEvent]) -> None:
    payloads = [encode_avro(event) for event in events]
    assert outcomes([*payloads]) == [(event, to_at_ms(event.timestamp)) for event in events]
    assert not any(map(is_given_up, payloads))


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
    [found] = outcomes([encode_avro(call(1, at_ms, 0, 100.0))])
    assert not isinstance(found, str)
    assert (found[0].timestamp, found[1]) == (from_at_ms(at_ms), at_ms)


def test_every_day_has_its_text() -> None:
    """All days that an event can be of: month ends and leap days are where a calendar goes wrong."""
    days = range(EARLIEST_AT_MS, LATEST_AT_MS, 86_400_000)
    before, after = encode_avro(call(1, START_AT_MS, 0, 100.0)).split(number_bytes(START_AT_MS))
    found = outcomes([before + number_bytes(at_ms) + after for at_ms in days])
    assert [each[0].timestamp for each in found if not isinstance(each, str)] == [from_at_ms(at_ms) for at_ms in days]


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
    expected = reference(whole)
    assert not isinstance(expected, str)
    assert expected[0].metadata is not None
    assert (expected[0].data.prompt, expected[0].metadata.tags) == ("café " * 20_000, {"a": "b", "c": "d"})
    assert outcomes([whole, several, padded]) == [expected] * 3


def found_in(records: list[bytes], detection: DetectionSettings) -> Findings:
    """Return what one shard finds in records."""
    shard = ShardDetection(detection, Control({}), 0)
    return shard.on_records(block_of(records, range(len(records))))


def test_json_and_avro_give_the_same_anomalies() -> None:
    events = [*troubled_calls(600), decode_event(heartbeat(START_AT_MS + 700_000, 0))]
    by_json = found_in([encode(event) for event in events], DetectionSettings())
    by_avro = found_in([encode_avro(event) for event in events], AVRO)
    assert by_json.anomalies
    assert [encode(each) for each in by_avro.anomalies] == [encode(each) for each in by_json.anomalies]
    assert by_avro.summaries == by_json.summaries
    assert by_avro.shares == by_json.shares


@pytest.mark.parametrize("record", BAD[:47], ids=lambda record: record.name)
def test_bad_record_is_refused_for_its_reason(record: BadAvroRecord) -> None:
    [found] = outcomes([record.value])
    assert isinstance(found, str)
    assert found.startswith(f"{record.reason.value}: ")


def test_bad_records_change_nothing_for_the_good_ones_among_them() -> None:
    good = [encode_avro(event) for event in troubled_calls(120)]
    mixed = [payload for i, each in enumerate(good) for payload in ([each, BAD[i].value] if i < len(BAD) else [each])]
    findings = found_in(mixed, AVRO)
    assert [each.reason for each in findings.dead_letters] == [each.reason for each in BAD]
    assert [each.offset for each in findings.dead_letters] == list(range(1, 2 * len(BAD), 2))
    assert findings.summaries == found_in(good, AVRO).summaries
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
    # The batch is some 30 kB, what is reserved for its MessagePack 2 to 3 kB a record.
    assert peak < 2_000_000


def test_kernel_stays_within_what_it_is_given() -> None:
    """Texts of each length around the borders of an encoding, in every field that holds one, fit into the target."""
    for size in (0, 1, 31, 32, 63, 64, 127, 128, 255, 256):
        loose = good_loose(1, Random(1))
        loose["metadata"]["tags"] = {"x" * size + str(number): "y" * size for number in range(200)}
        loose["metadata"]["user_id"] = "z" * size
        payloads = [written(loose)] * 3
        assert outcomes([*payloads]) == [reference(payload) for payload in payloads]
        assert np.diff([at_ms for _, _, at_ms, _ in avro_records(payloads)]).tolist() == [0, 0]
