"""The JSON interface says of every event whether it was taken, and why not (RFC 9457)."""

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from jobs.errors import SentinelError
from jobs.ingestion.rejected_letters import letter as letter_of
from schemas.codec import decode_record, encode
from schemas.dead_letter import DeadLetter
from schemas.proto.llmsentinel.v1 import ingestion_pb2
from schemas.telemetry import Data, Guardrail, Metadata, Parameters, Source, TelemetryEvent
from tests.ingestion import EVENT, Running, running

BAD: dict[str, Any] = EVENT | {"event_id": "e-2", "data": {"latency_ms": "fast"}}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("i")
    with running(folder, f"{{request_bytes_max: 65536, environment: test, listen: {{unix: {folder / 's'}}}}}") as front:
        yield front


def post(front: Running, body: Any, content_type: str = "application/json", **headers: str) -> httpx.Response:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return front.client.post("/v1/events", content=sent, headers={"content-type": content_type, **headers})


def test_one_event_an_array_and_lines_are_taken(front: Running) -> None:
    for body, content_type, count in (
        (EVENT, "application/json", 1),
        ([EVENT, EVENT | {"event_id": "e-3"}], "application/json; charset=utf-8", 2),
        (b"\n".join([json.dumps(EVENT).encode()] * 3) + b"\n\n", "application/x-ndjson", 3),
        ([], "application/json", 0),
        (b"", "application/x-ndjson", 0),
    ):
        answer = post(front, body, content_type)
        assert (answer.status_code, answer.json()["accepted"]) == (202, count), answer.text
        events = front.events()
        assert len(events) == count
        assert {event.tenant_id for event in events} <= {"default"}
        assert {event.metadata and event.metadata.environment for event in events} <= {"test"}


def test_the_id_of_a_batch_is_that_of_its_events(front: Running) -> None:
    first, again, other = (
        post(front, events).json()["batch_id"] for events in ([EVENT], [EVENT], [EVENT | {"event_id": "x"}])
    )
    front.events()
    assert first == again != other


def test_of_several_events_the_good_ones_are_taken_and_the_bad_ones_named(front: Running) -> None:
    answer = post(front, [EVENT, BAD, {"event_id": "e"}])
    assert answer.status_code == 207
    document = answer.json()
    assert document["accepted"] == 1
    assert [(each["index"], each["code"]) for each in document["rejected"]] == [
        (1, "wrong_type"),
        (2, "missing_field"),
    ]
    assert document["rejected"][0]["pointer"] == "/data/latency_ms"
    assert len(front.events()) == 1


def test_all_or_nothing_is_refused_with_the_faults(front: Running) -> None:
    for answer in (post(front, [EVENT, BAD], prefer="handling=strict"), post(front, BAD)):
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        document = answer.json()
        assert {"type", "title", "status", "detail", "errors"} <= document.keys()
        [fault] = document["errors"]
        assert fault["pointer"] == "/data/latency_ms"
    assert front.events() == []


def test_what_is_rejected_is_kept_with_its_bytes_and_counted(tmp_path: Path) -> None:
    with running(tmp_path) as front:
        bad, good = json.dumps(BAD), json.dumps(EVENT)
        post(front, f"{good}\n\n{bad}\n".encode(), "application/x-ndjson")
        post(front, f"[{good}, {bad}]".encode())
        post(front, bad.encode())
        kept = [(tenant, each.reason.value, payload) for tenant, each, payload in front.rejected]
        assert kept == [("default", "wrong_type", bad.encode())] * 3
        account = front.buffer.accounts()["default"]
        assert dict(account.rejected) == {"wrong_type": 3}
        letter = letter_of("acme", front.rejected[0][1], front.rejected[0][2])
        assert decode_record(encode(letter), DeadLetter) == letter
        assert base64.b64decode(letter.payload_base64) == bad.encode()


@pytest.mark.parametrize("body", [b"[1", b"[" * 3_000, b'[{"a": }]'])
def test_what_is_no_json_is_refused(front: Running, body: bytes) -> None:
    answer = post(front, body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_limits_of_transport(front: Running) -> None:
    assert post(front, bytes(70_000)).status_code == 413
    answer = post(front, EVENT, "application/xml")
    assert (answer.status_code, answer.headers["accept"]) == (415, "application/json, application/x-ndjson")
    answer = post(front, EVENT, **{"content-encoding": "br"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, zstd, identity")
    assert front.client.get("/v1/events").headers["allow"] == "POST"
    assert front.client.post("/metrics").status_code == 405
    assert front.client.get("/nothing").json()["status"] == 404


def test_over_quota_names_the_policy(tmp_path: Path) -> None:
    limits = "limits: {tenants: {default: {tokens_per_s: 6, burst_s: 2}}}"
    with running(tmp_path, limits) as front:
        event = EVENT | {"data": {"total_tokens": 12}}
        assert post(front, event).status_code == 202
        answer = post(front, event)
        assert answer.status_code == 429
        document = answer.json()
        assert document["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
        assert document["violated-policies"] == ["tokens"]
        assert int(answer.headers["retry-after"]) in {1, 2}
        assert answer.headers["ratelimit-policy"].startswith('"tokens";q=12;w=2')
        front.buffer.stop_taking_in()
        # What is not limited is refused for what the buffer says.
        busy = post(front, EVENT)
        assert busy.status_code == 503
        assert busy.json()["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


def test_instances_with_one_secret_hash_a_text_alike_and_others_do_not(tmp_path: Path) -> None:
    (tmp_path / "hash.secret").write_bytes(b"0123456789abcdef")
    shared = f"texts: {{hash_secret: {tmp_path / 'hash.secret'}}}"
    hashes = []
    for name, document in (("a", shared), ("b", shared), ("c", "{}")):
        (tmp_path / name).mkdir()
        with running(tmp_path / name, document) as front:
            front.client.post("/v1/events", json=EVENT | {"data": EVENT["data"] | {"prompt": "why?"}})
            hashes += [event.data.prompt_hash for event in front.events()]
    assert hashes[0] == hashes[1] != hashes[2]
    (tmp_path / "hash.secret").write_bytes(b"too short")
    with pytest.raises(SentinelError, match="fewer than 16"), running(tmp_path / "a", shared):
        pass


def test_pages_for_operators(front: Running) -> None:
    # Some counters show themselves with their first request only.
    assert front.client.post("/v1/events", json=EVENT).status_code == 202
    assert len(front.events()) == 1
    assert front.client.get("/healthz").json() == {"status": "alive"}
    assert front.client.get("/readyz").json() == {"status": "ready"}
    metrics = front.client.get("/metrics").text
    for name in ("requests_total", "request_seconds_bucket", "ledger_events_total", "request_bytes", "events_total"):
        assert f"sentinel_ingestion_{name}" in metrics
    ledger = front.client.get("/v1/ledger").json()
    assert ledger["total"]["unaccounted"] == 0
    assert ledger["tenants"]["default"]["received"] == ledger["total"]["received"]


def test_the_unix_socket_answers_alike(front: Running, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = next(tmp_path_factory.getbasetemp().glob("i*/s"))
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        assert client.post("http://sentinel/v1/events", json=EVENT).status_code == 202
    assert len(front.events()) == 1
    assert path.stat().st_mode & 0o007 == 0


def test_pipelined_and_slow_requests_are_answered_in_order(front: Running) -> None:
    body = json.dumps(EVENT).encode()
    head = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    host, port = front.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as wire:
        wire.sendall(head % len(body) + body[:10])
        wire.sendall(body[10:] + head % 2 + b"[]")
        received = b""
        while received.count(b"HTTP/1.1") < 2 or not received.endswith(b"}"):
            received += wire.recv(65_536)
    assert received.count(b"HTTP/1.1 202") == 2
    assert received.index(b'"accepted":1') < received.index(b'"accepted":0')
    assert len(front.events()) == 1


# --- Our own gRPC service ---------------------------------------------------------------------------------------------


def message(number: int, **data: Any) -> ingestion_pb2.TelemetryEvent:
    return ingestion_pb2.TelemetryEvent(
        event_id=f"g-{number}",
        timestamp="2026-11-24T09:30:00.123Z",
        source=ingestion_pb2.Source(service="checkout", host="h"),
        event_type="llm.response",
        application_id="checkout",
        data=ingestion_pb2.Data(model="gpt-4o", prompt_tokens=0, **data),
        metadata=ingestion_pb2.Metadata(user_id="u", tags={"team": "a"}),
    )


def test_messages_are_taken_one_by_one_and_in_a_stream(front: Running) -> None:
    request = ingestion_pb2.SubmitRequest(events=[message(1), message(2, status="odd")])
    with grpc.insecure_channel(front.grpc) as channel:
        submit = channel.unary_unary(
            "/llmsentinel.v1.Ingestion/Submit",
            request_serializer=ingestion_pb2.SubmitRequest.SerializeToString,
            response_deserializer=ingestion_pb2.SubmitResponse.FromString,
        )
        answer = submit(request, timeout=20)
        assert answer.accepted == 1
        [rejected] = answer.rejected
        assert (rejected.index, rejected.pointer, rejected.reason) == (1, "/data/status", "wrong_type")
        [event] = front.events()
        assert event.data.prompt_tokens == 0
        assert event.data.completion_tokens is None
        assert event.metadata is not None
        assert event.metadata.tags == {"team": "a"}

        stream = channel.stream_stream(
            "/llmsentinel.v1.Ingestion/Stream",
            request_serializer=ingestion_pb2.SubmitRequest.SerializeToString,
            response_deserializer=ingestion_pb2.SubmitResponse.FromString,
        )
        requests = (ingestion_pb2.SubmitRequest(events=[message(number)]) for number in range(5))
        assert [each.accepted for each in stream(requests, timeout=20)] == [1] * 5
        assert [event.event_id for event in front.events()] == [f"g-{number}" for number in range(5)]


def test_fields_of_the_published_messages_are_those_of_the_schema() -> None:
    for kind, messages, apart in (
        (TelemetryEvent, ingestion_pb2.TelemetryEvent, set()),
        (Source, ingestion_pb2.Source, set()),
        (Data, ingestion_pb2.Data, {"context"}),
        (Parameters, ingestion_pb2.Parameters, set()),
        (Guardrail, ingestion_pb2.Guardrail, set()),
        (Metadata, ingestion_pb2.Metadata, {"attributes"}),
    ):
        assert set(kind.__struct_fields__) - apart == {field.name for field in messages.DESCRIPTOR.fields}
