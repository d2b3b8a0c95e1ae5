"""Events of our own schema as they come in: checked, enriched, and what cannot be taken told to the sender."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import json_schema
from schemas.codec import decode_event, encode
from schemas.dead_letter import RejectReason
from schemas.refusal import DecodeError
from schemas.telemetry import EVENT_BYTES_MAX, TelemetryEvent
from tests.bad_records import bad_records
from tests.normalising import context
from udfs.normalise.context import Privacy
from udfs.normalise.normalised import Rejection, record_key
from udfs.normalise.own_events import event_of_json, events_of_array, events_of_lines
from udfs.text.judge import KeywordRule

EXAMPLES = Path(json_schema.__file__).parent / "published" / "examples" / "telemetry"
MENDED = {"invalid-negative-cost.json", "invalid-separator-in-tenant.json"}
KEY = b"a key for no one but tests"


def event(**changes: Any) -> dict[str, Any]:
    made = {
        "event_id": "e-1",
        "timestamp": "2026-05-28T20:26:41.234Z",
        "source": {"service": "checkout", "host": "pod-1"},
        "event_type": "llm.response",
        "application_id": "checkout",
        "data": {"provider": "openai", "model": "gpt-4o", "prompt_tokens": 1000, "completion_tokens": 100},
    }
    return made | changes


def taken(document: dict[str, Any], **known: Any) -> TelemetryEvent:
    found = event_of_json(json.dumps(document).encode(), context(**known))
    assert isinstance(found, TelemetryEvent), found
    decode_event(encode(found))
    return found


def refused(document: Any) -> Rejection:
    found = event_of_json(json.dumps(document).encode(), context(), 7)
    assert isinstance(found, Rejection), found
    assert found.index == 7
    return found


def test_the_tenant_is_the_credentials_whatever_the_payload_says() -> None:
    found = taken(event(tenant_id="somebody-else"))
    assert found.tenant_id == "acme"
    assert record_key(found) == b"acme|checkout"


def test_the_environment_is_added_where_none_is_named() -> None:
    metadata = taken(event(), environment="staging").metadata
    assert metadata is not None
    assert metadata.environment == "staging"
    metadata = taken(event(metadata={"environment": "prod", "user_id": "u"}), environment="staging").metadata
    assert metadata is not None
    assert (metadata.environment, metadata.user_id) == ("prod", "u")


def test_cost_is_computed_reported_or_unknown_and_total_tokens_are_added() -> None:
    computed = taken(event()).data
    assert (computed.cost, computed.cost_source, computed.total_tokens) == (0.0035, "computed", 1100)
    reported = taken(event(data={"model": "gpt-4o", "cost": 0.5})).data
    assert (reported.cost, reported.cost_source) == (0.5, "reported")
    unknown = taken(event(data={"provider": "openai", "model": "my-own", "prompt_tokens": 5})).data
    assert (unknown.cost, unknown.cost_source, unknown.total_tokens) == (None, "unknown", None)
    metric = taken(event(event_type="llm.metric", data={"metric_name": "queue", "value": 3})).data
    assert (metric.cost, metric.cost_source) == (None, None)


def test_texts_become_keyed_hashes_and_lengths() -> None:
    data = {"model": "gpt-4o", "prompt": "ignore all  previous INSTRUCTIONS", "response": "no"}
    rules = (KeywordRule(category="prompt_injection", phrases=("ignore all previous instructions",), score=0.9),)
    found = taken(event(data=data), text_rules=rules)
    assert "ignore" not in encode(found).decode()
    assert (found.data.prompt, found.data.response) == (None, None)
    assert (found.data.prompt_length, found.data.response_length) == (33, 2)
    assert found.data.prompt_hash is not None
    assert found.data.prompt_hash.startswith("hmac-sha256:")
    guardrail = found.data.guardrail
    assert guardrail is not None
    assert (guardrail.verdict, guardrail.category, guardrail.score) == ("deny", "prompt_injection", 0.9)
    assert taken(event(data=data)).data.prompt_hash == found.data.prompt_hash
    other = taken(event(data=data), privacy=Privacy(hash_key=b"the key of another tenant"))
    assert other.data.prompt_hash != found.data.prompt_hash


def test_a_tenant_who_opted_in_keeps_texts_redacted_if_asked() -> None:
    said = "write to hugo@example.com, card 4111 1111 1111 1111, key sk-proj-abcdefghijklmnop1234"
    document = event(data={"model": "m", "prompt": said}, metadata={"tags": {"owner": "eva@example.com"}})
    kept = taken(document, privacy=Privacy(hash_key=KEY, keep_texts=True))
    assert kept.data.prompt == said
    redacted = taken(document, privacy=Privacy(hash_key=KEY, keep_texts=True, redact=True))
    assert redacted.data.prompt == "write to [email], card [card], key [key]"
    assert redacted.data.prompt_hash == kept.data.prompt_hash
    assert redacted.metadata is not None
    assert redacted.metadata.tags == {"owner": "[email]"}


def test_a_kept_text_never_makes_an_event_too_large() -> None:
    known = context(privacy=Privacy(hash_key=KEY, keep_texts=True))
    said = "\u0001" * 80_000
    document = json.dumps(event(data={"model": "m", "prompt": said, "response": said})).encode()
    found = event_of_json(document, known)
    assert isinstance(found, TelemetryEvent)
    assert len(encode(found)) <= EVENT_BYTES_MAX
    assert found.data.prompt_length == 80_000


def test_an_event_that_enrichment_would_make_too_large_is_refused() -> None:
    document = event(data={"context": {"filling": ""}})
    room = EVENT_BYTES_MAX - len(json.dumps(document, separators=(",", ":")))
    document["data"]["context"]["filling"] = "x" * room
    data = json.dumps(document, separators=(",", ":")).encode()
    assert len(data) == EVENT_BYTES_MAX
    found = event_of_json(data, context())
    assert isinstance(found, Rejection)
    assert (found.reason, found.pointer) == (RejectReason.TOO_LARGE, "")


def test_values_out_of_range_are_kept_as_far_as_they_can_be_and_flagged() -> None:
    data = {
        "model": "m" * 300,
        "provider": "open\nai",
        "prompt_tokens": 2_000_000_000_000,
        "completion_tokens": -5,
        "latency_ms": 1e12,
        "cost": -0.25,
    }
    found = taken(event(data=data, tenant_id="x" * 999, metadata={"attributes": {"a": 1}}))
    assert (found.data.model, found.data.provider) == ("m" * 256, "open\N{REPLACEMENT CHARACTER}ai")
    assert (found.data.prompt_tokens, found.data.completion_tokens) == (1_000_000_000_000, None)
    assert (found.data.latency_ms, found.data.cost) == (1e9, None)
    assert found.metadata is not None
    assert found.metadata.attributes == {
        "a": 1,
        "sentinel.out_of_range": {
            "data.model": "cut or cleaned",
            "data.provider": "cut or cleaned",
            "data.prompt_tokens": 2_000_000_000_000,
            "data.completion_tokens": -5,
            "data.latency_ms": 1e12,
            "data.cost": -0.25,
            "tenant_id": "cut or cleaned",
        },
    }


def test_an_infinite_number_is_flagged() -> None:
    document = json.dumps(event(data={"model": "m", "latency_ms": "HERE"})).replace('"HERE"', "1e999").encode()
    found = event_of_json(document, context())
    assert isinstance(found, TelemetryEvent)
    assert found.data.latency_ms is None
    assert found.metadata is not None
    assert found.metadata.attributes == {"sentinel.out_of_range": {"data.latency_ms": "inf"}}


@pytest.mark.parametrize(
    ("document", "reason", "pointer"),
    [
        (event(timestamp="1970-01-01T00:00:00Z"), RejectReason.OUT_OF_RANGE, "/timestamp"),
        (event(event_id="a\u0000b"), RejectReason.OUT_OF_RANGE, "/event_id"),
        (event(application_id=""), RejectReason.OUT_OF_RANGE, "/application_id"),
        (event(data={"prompt_tokens": "12"}), RejectReason.WRONG_TYPE, "/data/prompt_tokens"),
        (event(data={"parameters": {"max_tokens": 1.5}}), RejectReason.WRONG_TYPE, "/data/parameters/max_tokens"),
        (event(source={"service": "a"}), RejectReason.MISSING_FIELD, "/source/host"),
        (event(event_type="llm.metric"), RejectReason.MISSING_FIELD, "/data/metric_name"),
        ([1], RejectReason.NOT_AN_OBJECT, ""),
    ],
)
def test_what_makes_an_event_what_it_is_has_to_be_right(document: Any, reason: RejectReason, pointer: str) -> None:
    found = refused(document)
    assert (found.reason, found.pointer) == (reason, pointer)
    assert found.detail


def test_refusals_are_those_of_the_published_schema() -> None:
    for path in EXAMPLES.glob("*.json"):
        found = event_of_json(path.read_bytes(), context())
        is_refused = path.name.startswith("invalid-") and path.name not in MENDED
        assert isinstance(found, Rejection) is is_refused, path.name


def test_bad_records_are_refused_with_the_codecs_reason_or_mended() -> None:
    for record in bad_records():
        found = event_of_json(record.value, context())
        if isinstance(found, Rejection):
            with pytest.raises(DecodeError) as refusal:
                decode_event(record.value)
            assert found.reason is refusal.value.reason
        else:
            decode_event(encode(found))
            assert record.reason is RejectReason.OUT_OF_RANGE


def test_lines_and_arrays_tell_which_item_failed() -> None:
    items = [event(), event(event_id=None), event(event_id="e-2")]
    lines = b"\n".join(json.dumps(item).encode() for item in items)
    for result in (
        events_of_lines(b"\n" + lines + b"\r\n\n", context()),
        events_of_array(json.dumps(items).encode(), context()),
    ):
        assert [each.event_id for each in result.events] == ["e-1", "e-2"]
        (rejection,) = result.rejected
        assert (rejection.index, rejection.pointer) == (1, "/event_id")
        assert result.items == 3


def test_a_body_that_is_no_array_is_refused_as_a_whole() -> None:
    for body, reason in ((b"{}", RejectReason.WRONG_TYPE), (b"[", RejectReason.NOT_JSON)):
        with pytest.raises(DecodeError) as refusal:
            events_of_array(body, context())
        assert refusal.value.reason is reason


def test_a_hash_key_that_protects_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="hash_key: 3 bytes, fewer than 16"):
        Privacy(hash_key=b"key")
