"""The telemetry codec gives an event or one reason, for any bytes."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from math import inf, nan
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro import decode_event_avro, decode_record_avro, encode_avro
from schemas.codec import RECORD_BYTES_MAX, decode_event, decode_record, encode
from schemas.config_record import RuleRecord, decode_rule_record, rule_key
from schemas.dead_letter import RejectReason
from schemas.fields import fields_of
from schemas.json_schema import PUBLISHED
from schemas.refusal import DecodeError, is_too_deep
from schemas.rule import Rule
from schemas.telemetry import EARLIEST_AT_MS, EVENT_BYTES_MAX, LATEST_AT_MS, Data, TelemetryEvent
from schemas.time import EVENT_TIME_PATTERN, from_at_ms, to_at_ms
from tests import strategies
from tests.bad_records import FAULTS, BadRecord, bad_records, good_event

SMALLEST = {
    "event_id": "1",
    "timestamp": "2026-11-24T09:30:00Z",
    "source": {"service": "s", "host": "h"},
    "event_type": "llm.response",
    "application_id": "a",
    "data": {},
}


def refusal(value: bytes | None) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode_event(value)
    return caught.value


def outcome(decode: Callable[[bytes], msgspec.Struct], value: bytes) -> msgspec.Struct | RejectReason:
    """Return what a decoder makes of bytes; an exception of any other kind fails the test."""
    try:
        return decode(value)
    except DecodeError as refused:
        return refused.reason


def event_with(**fields: object) -> bytes:
    return json.dumps(SMALLEST | fields).encode()


def data_with(**fields: object) -> bytes:
    return event_with(data=fields)


@pytest.mark.parametrize("record", bad_records(len(FAULTS)), ids=lambda record: record.name)
def test_every_kind_of_bad_record_is_refused_for_its_reason(record: BadRecord) -> None:
    assert refusal(record.value).reason is record.reason


def test_a_thousand_bad_records_are_refused_for_their_reasons() -> None:
    records = bad_records()
    assert len(records) == 1_000
    assert [record.name for record in records if refusal(record.value).reason is not record.reason] == []


def test_the_same_seed_gives_the_same_bad_records() -> None:
    assert bad_records(300, seed=7) == bad_records(300, seed=7) != bad_records(300, seed=8)


def test_good_events_beside_the_bad_ones_are_accepted() -> None:
    random = Random(5)
    for number in range(200):
        event = good_event(number, random)
        assert decode_event(json.dumps(event).encode()).event_id == event["event_id"]


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_give_an_event_or_a_reason(value: bytes) -> None:
    for decode in (decode_event, decode_event_avro):
        assert isinstance(outcome(decode, value), TelemetryEvent | RejectReason)


@settings(max_examples=150)
@given(strategies.telemetry_events, st.data())
def test_a_damaged_event_gives_an_event_or_a_reason(event: TelemetryEvent, data: st.DataObject) -> None:
    for encoded, decode in ((encode(event), decode_event), (encode_avro(event), decode_event_avro)):
        start = data.draw(st.integers(0, len(encoded)))
        end = data.draw(st.integers(start, min(len(encoded), start + 9)))
        damaged = encoded[:start] + data.draw(st.binary(max_size=9)) + encoded[end:]
        assert isinstance(outcome(decode, damaged), TelemetryEvent | RejectReason)


@given(st.sampled_from(sorted(PUBLISHED)), strategies.json_values | st.dictionaries(strategies.words, st.none()))
def test_any_json_gives_a_record_or_a_reason(name: str, value: object) -> None:
    kind = PUBLISHED[name]
    assert isinstance(outcome(partial(decode_record, kind=kind), msgspec.json.encode(value)), kind | RejectReason)


@given(strategies.telemetry_events)
def test_an_event_survives_json(event: TelemetryEvent) -> None:
    assert decode_event(encode(event)) == event


@given(strategies.telemetry_events)
def test_an_event_survives_avro(event: TelemetryEvent) -> None:
    assert decode_event_avro(encode_avro(event)) == event


@given(strategies.anomalies | strategies.incidents)
def test_anomalies_and_incidents_survive_avro(record: msgspec.Struct) -> None:
    assert decode_record_avro(encode_avro(record), type(record)) == record


@given(
    strategies.anomalies
    | strategies.incidents
    | strategies.summaries
    | strategies.dead_letters
    | strategies.rules
    | strategies.alert_definitions
    | strategies.published_models
)
def test_every_record_survives_json(record: msgspec.Struct) -> None:
    assert decode_record(encode(record), type(record)) == record


def test_strategies_reach_every_field_of_telemetry() -> None:
    # Fields left out on purpose: they have the type of a neighbour that is drawn.
    alike = {"cache_write_tokens", "reasoning_tokens", "cost_source", "prompt_hash", "prompt_length", "response"}
    alike |= {"response_hash", "tool_name", "agent_name", "unit"}
    drawn: set[str] = set()

    @settings(max_examples=100, database=None)
    @given(strategies.facts)
    def collect(facts: Data) -> None:
        drawn.update(name for name in facts.__struct_fields__ if getattr(facts, name) is not None)

    collect()
    assert drawn | alike == {field.name for field in fields_of(Data)}


def test_one_byte_order_mark_is_ignored_and_two_are_not_json() -> None:
    assert decode_event(b"\xef\xbb\xbf" + event_with()) == decode_event(event_with())
    assert refusal(b"\xef\xbb\xbf\xef\xbb\xbf" + event_with()).reason is RejectReason.NOT_JSON


def test_a_null_value_is_empty() -> None:
    assert refusal(None).reason is RejectReason.EMPTY


def test_an_event_may_have_just_the_allowed_bytes() -> None:
    padding = EVENT_BYTES_MAX - len(data_with(prompt=""))
    assert decode_event(data_with(prompt="x" * padding)).data.prompt == "x" * padding
    assert refusal(data_with(prompt="x" * (padding + 1))).reason is RejectReason.TOO_LARGE


def test_a_record_of_another_topic_may_be_larger_than_an_event() -> None:
    assert decode_record(b" " * EVENT_BYTES_MAX + b'{"rule_id":"a"}', Rule).rule_id == "a"
    with pytest.raises(DecodeError) as caught:
        decode_record(b" " * RECORD_BYTES_MAX + b'{"rule_id":"a"}', Rule)
    assert caught.value.reason is RejectReason.TOO_LARGE


def test_an_event_may_nest_just_64_levels() -> None:
    # The event, data and context are three levels.
    def nested(levels: int) -> bytes:
        return event_with(data={"context": {"a": "@"}}).replace(b'"@"', b"[" * levels + b"]" * levels)

    assert decode_event(nested(61)).data.context is not None
    assert refusal(nested(62)).reason is RejectReason.TOO_DEEP


@given(st.recursive(st.text('[]{}\\"a', max_size=5), lambda parts: st.lists(parts, max_size=3), max_leaves=20))
def test_depth_counts_brackets_outside_texts_only(value: object) -> None:
    def depth(part: object) -> int:
        return 1 + max(map(depth, part), default=0) if isinstance(part, list) else 0

    raw = json.dumps(value).encode()
    assert [is_too_deep(raw, levels) for levels in range(5)] == [depth(value) > levels for levels in range(5)]


@pytest.mark.parametrize("written", ["12.0", "12", "1.2e1", "12.000"])
def test_a_count_may_be_written_as_any_whole_number(written: str) -> None:
    raw = data_with(prompt_tokens="@", parameters={"max_tokens": "@"}).replace(b'"@"', written.encode())
    event = decode_event(raw)
    assert (event.data.prompt_tokens, event.data.parameters and event.data.parameters.max_tokens) == (12, 12)
    assert isinstance(event.data.prompt_tokens, int)


def test_the_reason_does_not_depend_on_where_malformed_json_breaks() -> None:
    wrong_type_then_cut = b'{"event_id":1,"timestamp":'
    cut_then_nothing = b'{"timestamp":'
    assert refusal(wrong_type_then_cut).reason is refusal(cut_then_nothing).reason is RejectReason.NOT_JSON


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (event_with(application_id=5), "application_id"),
        (event_with(event_type="secret-word"), "event_type"),
        (data_with(latency_ms="secret-word"), "data.latency_ms"),
        (data_with(dimensions={"secret-word": 1}), "data.dimensions[...]"),
        (data_with(parameters={"top_p": "secret-word"}), "data.parameters.top_p"),
        (data_with(cost=-1), "data.cost"),
        (event_with(tenant_id="secret-word\n"), "tenant_id"),
        (data_with(guardrail={"verdict": "\x00secret-word"}), "data.guardrail.verdict"),
        (event_with(timestamp="secret-word"), "timestamp"),
        (event_with(source={"host": "secret-word"}), "source.service"),
    ],
)
def test_the_detail_names_the_field_and_never_its_content(raw: bytes, field: str) -> None:
    refused = refusal(raw)
    assert refused.detail.startswith(f"{field}: ")
    assert "secret-word" not in str(refused)


def test_control_characters_are_refused_in_labels_and_kept_in_texts() -> None:
    assert decode_event(data_with(prompt="a\x1f\n\tb")).data.prompt == "a\x1f\n\tb"
    # Not printable, but no control characters: spaces of other scripts, a zero-width joiner.
    assert decode_event(data_with(model="a\u00a0\u200d\\b")).data.model == "a\u00a0\u200d\\b"
    assert refusal(data_with(model="a\x1fb")).reason is RejectReason.OUT_OF_RANGE


def test_a_heartbeat_needs_only_its_name() -> None:
    heartbeat = event_with(event_type="llm.metric", data={"metric_name": "sentinel.heartbeat"})
    assert decode_event(heartbeat).data.metric_name == "sentinel.heartbeat"
    assert refusal(event_with(event_type="llm.metric")).reason is RejectReason.MISSING_FIELD


def test_unknown_fields_are_ignored() -> None:
    assert decode_event(event_with(region="eu", data={"audio_tokens": [1]})) == decode_event(event_with())


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_instants_survive_text(at_ms: int) -> None:
    assert to_at_ms(from_at_ms(at_ms)) == at_ms
    assert len(from_at_ms(at_ms)) == len("2026-11-24T09:30:00.000Z")


@given(st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001
def test_instants_agree_with_the_standard_library(local: datetime, offset: int) -> None:
    text = f"{local.isoformat()}{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    seconds = datetime.fromisoformat(text).timestamp()
    # A float holds the seconds of these years to about 30 microseconds: compare what lies clear of a millisecond's end.
    if 0.1 < seconds * 1000 % 1 < 0.9:
        assert to_at_ms(text) == int(seconds * 1000)


def test_digits_beyond_milliseconds_are_cut_off_not_rounded() -> None:
    assert to_at_ms("1970-01-01T00:00:00.0019999999Z") == 1
    assert to_at_ms("1969-12-31T23:59:59.9989999+00:00") == -2  # 1.0001 ms before the epoch is in millisecond -2
    assert to_at_ms("1970-01-01T01:00:00.5+01:00") == 500


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1970-01-01",
        "1970-01-01 00:00:00Z",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:60Z",
        "1970-02-30T00:00:00Z",
        "1970-01-01T00:00:00Z\n",
        "1970-01-01T00:00:00,5Z",
    ],
)
def test_what_is_no_rfc_3339_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every parser words it in its own way
        to_at_ms(text)


def test_instants_beyond_the_calendar_are_refused() -> None:
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        from_at_ms(10**18)


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("1999-12-31T23:59:59.999Z", False),
        ("2000-01-01T00:00:00Z", True),
        ("1999-12-31T23:30:00-01:00", True),
        ("2099-12-31T23:59:59.999Z", True),
        ("2100-01-01T00:00:00Z", False),
        ("2100-01-01T00:30:00+01:00", True),
    ],
)
def test_events_are_of_the_years_2000_to_2099(text: str, *, accepted: bool) -> None:
    if accepted:
        assert decode_event(event_with(timestamp=text)).timestamp == text
    else:
        assert refusal(event_with(timestamp=text)).reason is RejectReason.OUT_OF_RANGE


def test_avro_refuses_what_json_cannot_even_say() -> None:
    event = decode_event(data_with(latency_ms=1.0, context={"a": 1}))
    for number in (nan, inf):
        broken = msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, latency_ms=number))
        with pytest.raises(DecodeError, match=r"out_of_range: data\.latency_ms: not a finite number"):
            decode_event_avro(encode_avro(broken))
    with pytest.raises(DecodeError, match="not_avro: 1 bytes too many"):
        decode_event_avro(encode_avro(event) + b"\x00")
    with pytest.raises(DecodeError, match=r"wrong_type: data\.context: not a JSON object"):
        decode_event_avro(encode_avro(event).replace(b'{"a":1}', b'{"a":1,'))
    with pytest.raises(DecodeError, match="wrong_type: event_type: not one of the known values"):
        decode_event_avro(encode_avro(event).replace(b"llm.response", b"llm.answerss"))
    with pytest.raises(DecodeError, match="empty"):
        decode_event_avro(b"")


def test_a_rule_is_found_under_its_key_and_deleted_by_null() -> None:
    rule = Rule(rule_id="slow", when=None)
    assert decode_rule_record(rule_key("slow"), encode(rule)) == RuleRecord(rule_id="slow", rule=rule)
    assert decode_rule_record(b"rule/slow", None) == RuleRecord(rule_id="slow", rule=None)
    assert decode_rule_record(b"flag/ml", b"whatever") is decode_rule_record(None, b"x") is None
    with pytest.raises(DecodeError, match="rule_id: differs from the key"):
        decode_rule_record(b"rule/other", encode(rule))
    with pytest.raises(DecodeError, match="no field of the name thresholds"):
        decode_rule_record(b"rule/slow", b'{"rule_id":"slow","thresholds":{}}')


def test_the_years_of_the_schema_hold_those_of_the_codec() -> None:
    # An offset of almost a day may carry the written year beyond the year of the instant, on both sides.
    first, last = from_at_ms(EARLIEST_AT_MS - 86_340_000), from_at_ms(LATEST_AT_MS - 1 + 86_340_000)
    assert re.match(EVENT_TIME_PATTERN, first)
    assert re.match(EVENT_TIME_PATTERN, last)
