"""Event columns: what the kernel reads from JSON is what the codec reads, and what it gives up the codec judges."""

from collections.abc import Iterator
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.replay.bulk import Bulk, bulk_events
from schemas.codec import decode_timed_event, encode
from schemas.refusal import DecodeError
from schemas.telemetry import TelemetryEvent
from tests import strategies
from tests.bad_records import bad_records, good_event
from tests.calls import START_AT_MS, call, troubled_calls
from tests.told_columns import of_event, of_refusal, told
from udfs.event_columns import read_columns
from udfs.json_kernel import GIVEN_UP, read_events
from udfs.record_block import block_of
from udfs.telemetry_program import NUMBERS, telemetry_program

PLAIN = encode(call(1, START_AT_MS, 1, 250.0))


def wanted(payload: bytes | None) -> dict[str, object]:
    """Return what the codec makes of a record."""
    try:
        event, at_ms = decode_timed_event(payload)
    except DecodeError as error:
        return of_refusal(error)
    return of_event(event) | {"at_ms": at_ms}


def check(payloads: list[bytes | None]) -> None:
    columns = read_columns(block_of(payloads, range(len(payloads))), "json")
    for position, payload in enumerate(payloads):
        assert told(columns, position) == wanted(payload)


def given_up(payloads: list[bytes]) -> int:
    """Return how many records the kernel alone gives up."""
    source = b"\0".join([b"", *payloads, b""])
    ends = np.cumsum([len(each) + 1 for each in payloads])
    starts = ends - [len(each) for each in payloads]
    at_ms = np.empty(len(payloads), dtype=np.int64)
    numbers, codes = np.empty((len(payloads), 5)), np.empty((len(payloads), 2), dtype=np.int64)
    inexact, texts = np.empty((len(payloads), 5, 2), dtype=np.int64), np.empty((len(payloads), 9, 2), dtype=np.int64)
    octets = np.frombuffer(source, dtype=np.uint8)
    read_events(octets, starts, ends, *telemetry_program(), at_ms, numbers, inexact, codes, texts)
    return int((at_ms == GIVEN_UP).sum())


@given(st.lists(strategies.telemetry_events, max_size=8))
def test_events_are_read_as_the_codec_reads_them(events: list[TelemetryEvent]) -> None:
    check([encode(event) for event in events])


@given(strategies.telemetry_events, st.data())
def test_a_damaged_record_is_what_the_codec_says(event: TelemetryEvent, data: st.DataObject) -> None:
    """Some bytes are replaced, left out or repeated."""
    octets = bytearray(encode(event))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(octets) - 1))
        what = data.draw(st.sampled_from(["replace", "drop", "repeat"]))
        if what == "replace":
            octets[place] = data.draw(st.sampled_from(list(b'{}[]":,.-+eE0123456789ntf\\ \n\0\xff\xc3')))
        elif what == "drop":
            del octets[place : place + data.draw(st.integers(1, 9))]
        else:
            octets[place:place] = octets[place : place + data.draw(st.integers(1, 9))]
        if not octets:
            break
    check([bytes(octets)])


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40)), max_size=5))
def test_any_bytes_are_what_the_codec_says(payloads: list[bytes | None]) -> None:
    check(payloads)


_NUMBERS = st.one_of(
    st.floats(0, 2e9, allow_nan=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-10, 10**20).map(str),
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{0,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(["0", "-0", "00", "1.", ".5", "1e", "1e5", "1E+2", "12.0", "1e400", "NaN", "9007199254740993"]),
)


@given(st.sampled_from([*(path[-1] for path in NUMBERS), "value", "total_tokens"]), _NUMBERS)
def test_numbers_are_exact(field: str, text: str) -> None:
    event = msgspec.json.decode(PLAIN)
    event["data"][field] = msgspec.Raw(text.encode())
    check([msgspec.json.encode(event)])


_TWO = "[0-6][0-9]"
_TIMES = st.one_of(
    st.datetimes().map(lambda each: each.isoformat() + "Z"),
    st.from_regex(
        r"20[0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,10})?(Z|\+01:00)?",
        fullmatch=True,
    ),
    st.sampled_from(["2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2100-01-01T00:00:00Z", "1999-12-31T23:59:59Z"]),
)


@given(_TIMES)
def test_times_are_exact(text: str) -> None:
    event = msgspec.json.decode(PLAIN)
    event["timestamp"] = text
    check([msgspec.json.encode(event)])


def test_every_day_is_its_day() -> None:
    event = msgspec.json.decode(PLAIN)
    payloads: list[bytes | None] = []
    for day in np.arange("2000-01-01", "2100-01-01", dtype="datetime64[D]"):
        event["timestamp"] = f"{day}T23:59:59.999Z"
        payloads.append(msgspec.json.encode(event))
    check(payloads)
    assert given_up([each for each in payloads if each]) == 0


def test_bad_records_are_what_the_codec_says() -> None:
    random = Random(5)
    good: Iterator[bytes] = (msgspec.json.encode(good_event(number, random)) for number in range(1_000))
    payloads: list[bytes | None] = []
    for bad, fine in zip(bad_records(), good, strict=True):
        payloads += [bad.value, fine]
    check(payloads)


@pytest.mark.parametrize(
    "change",
    [
        (b"{", b" \n{ "),
        (b",", b" ,\t"),
        (b":", b"\r: "),
        (b'"data"', b'"data" '),
        (b'"tenant_id"', b'"tenant_id":null,"correlation_id"'),
        (b'"metadata":{', b'"metadata":{"tags":{"team":"search"},"attributes":{"a":[1,-2.5,{"b":null},[]],"c":{}},'),
    ],
    ids=str,
)
def test_plain_events_are_not_given_up(change: tuple[bytes, bytes]) -> None:
    payloads = [encode(event).replace(*change, 1) for event in troubled_calls(10)]
    assert given_up(payloads) == 0
    check(list(payloads))


def test_benchmark_events_are_not_given_up() -> None:
    payloads = [each.value for each in bulk_events(Bulk(events=2_000, start_at_ms=START_AT_MS))]
    assert given_up(payloads) == 0
    check(list(payloads))
