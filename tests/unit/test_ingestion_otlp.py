"""OTLP is answered as its specification 1.11 says, and OpenTelemetry's own exporters get their telemetry in."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import zstandard
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.ingestion import Running, running

AT_NS = 1_790_000_000_000_000_000
PROTOBUF = "application/x-protobuf"
PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("i"), "request_bytes_max: 65536") as front:
        yield front


def span(number: int = 1, *, end_ns: int = AT_NS) -> Span:
    attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    return Span(
        name="chat gpt-4o",
        trace_id=bytes(15) + b"\1",
        span_id=number.to_bytes(8, "big"),
        start_time_unix_nano=AT_NS - 2_000_000_000,
        end_time_unix_nano=end_ns,
        attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()],
    )


def request(*spans: Span) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])


def post(front: Running, body: bytes, content_type: str = PROTOBUF, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return front.client.post("/v1/traces", content=body, headers={"content-type": content_type, **named})


def export(front: Running, body: bytes, **options: Any) -> bytes:
    with grpc.insecure_channel(front.grpc) as channel:
        answer: bytes = channel.unary_unary(PATH)(body, timeout=20, **options)
        return answer


def details(failure: grpc.RpcError) -> dict[str, Any]:
    status = rpc_status.from_call(failure)
    found: dict[str, Any] = {}
    for each in status.details if status else ():
        for kind in (error_details_pb2.RetryInfo, error_details_pb2.BadRequest):
            if each.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(each.value)
    return found


# --- All good ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_a_good_request_is_answered_without_partial_success(front: Running, way: str) -> None:
    body = request(span()).SerializeToString()
    if way == "http":
        answer = post(front, body)
        assert (answer.status_code, answer.headers["content-type"]) == (200, PROTOBUF)
        assert answer.content == b""
    else:
        assert export(front, body) == b""
    [event] = front.events()
    assert (event.tenant_id, event.data.model, event.data.latency_ms) == ("default", "gpt-4o", 2_000)


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_an_empty_request_succeeds(front: Running, way: str) -> None:
    assert (post(front, b"").content if way == "http" else export(front, b"")) == b""


def test_json_has_ids_in_hexadecimal_and_unknown_fields_are_ignored(front: Running) -> None:
    document = json_format.MessageToDict(request(span(7)))
    sent = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    sent |= {"traceId": f"{0xABC:032x}", "spanId": f"{7:016X}", "kind": 3, "fromTheFuture": {"a": 1}}
    sent["endTimeUnixNano"] = AT_NS
    answer = post(front, json.dumps(document).encode(), "application/json; charset=utf-8")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, "application/json", {})
    [event] = front.events()
    assert (event.trace_id, event.span_id) == (f"{0xABC:032x}", f"{7:016x}")


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity"])
def test_bodies_may_be_compressed(front: Running, encoding: str) -> None:
    plain = request(span()).SerializeToString()
    packed = {"gzip": gzip.compress(plain), "zstd": zstandard.compress(plain), "identity": plain}[encoding]
    assert post(front, packed, content_encoding=encoding).status_code == 200
    assert len(front.events()) == 1


def test_grpc_may_be_compressed(front: Running) -> None:
    assert export(front, request(span()).SerializeToString(), compression=grpc.Compression.Gzip) == b""
    assert len(front.events()) == 1


@pytest.mark.parametrize(
    ("path", "kind"), [("metrics", ExportMetricsServiceRequest), ("logs", ExportLogsServiceRequest)]
)
def test_the_other_signals_have_their_own_answers(front: Running, path: str, kind: Any) -> None:
    answer = front.client.post(f"/v1/{path}", content=kind().SerializeToString(), headers={"content-type": PROTOBUF})
    assert (answer.status_code, answer.content) == (200, b"")


# --- Some of it bad ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["http", "json", "grpc"])
def test_bad_items_are_counted_and_named_and_the_others_taken(front: Running, way: str) -> None:
    message = request(span(1), span(2, end_ns=1), span(3))
    if way == "json":
        document = json_format.MessageToDict(message)
        for number, each in enumerate(document["resourceSpans"][0]["scopeSpans"][0]["spans"]):
            each |= {"traceId": f"{1:032x}", "spanId": f"{number + 1:016x}"}
        answered = post(front, json.dumps(document).encode(), "application/json")
        assert answered.json()["partialSuccess"]["rejectedSpans"] == "1"
        response = json_format.Parse(answered.text, ExportTraceServiceResponse())
    else:
        body = message.SerializeToString()
        response = ExportTraceServiceResponse.FromString(
            post(front, body).content if way == "http" else export(front, body)
        )
    assert response.partial_success.rejected_spans == 1
    assert "endTimeUnixNano" in response.partial_success.error_message
    assert Span.FromString(front.rejected.pop()[2]).end_time_unix_nano == 1
    assert len(front.events()) == 2


# --- All of it bad ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [PROTOBUF, "application/json"])
def test_what_cannot_be_decoded_is_a_status_in_the_encoding_of_the_request(front: Running, content_type: str) -> None:
    answer = post(front, b'{"resourceSpans": 5 \xff', content_type)
    assert (answer.status_code, answer.headers["content-type"]) == (400, content_type)
    status = (
        status_pb2.Status.FromString(answer.content)
        if content_type == PROTOBUF
        else json_format.Parse(answer.text, status_pb2.Status())
    )
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "ExportTraceServiceRequest" in status.message
    assert status.details[0].Is(error_details_pb2.BadRequest.DESCRIPTOR)


def test_what_cannot_be_decoded_by_grpc_is_invalid_and_says_so_in_details(front: Running) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        export(front, b"\xff\xff\xff")
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list(details(failure.value)) == ["BadRequest"]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"not gzip", "gzip"), (gzip.compress(b"x" * 99, mtime=0)[:-9], "gzip"), (b"not zstd", "zstd")],
)
def test_a_body_that_is_not_what_its_encoding_says_is_undecodable(front: Running, body: bytes, encoding: str) -> None:
    assert post(front, body, content_encoding=encoding).status_code == 400


@pytest.mark.parametrize("how", ["plain", "chunked", "gzip", "zstd"])
def test_too_large_is_413_before_and_after_decompression(front: Running, how: str) -> None:
    plain = bytes(65_537)
    if how == "chunked":
        answer = front.client.post(
            "/v1/traces", content=iter([plain[:40_000], plain[40_000:]]), headers={"content-type": PROTOBUF}
        )
    elif how == "plain":
        answer = post(front, plain)
    else:
        packed = gzip.compress(plain) if how == "gzip" else zstandard.compress(plain)
        assert len(packed) < 1_000
        answer = post(front, packed, content_encoding=how)
    assert answer.status_code == 413
    assert "retry-after" not in answer.headers
    assert status_pb2.Status.FromString(answer.content).code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_too_large_by_grpc_is_not_to_be_sent_again(front: Running, compression: Any) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        export(front, bytes(65_537), compression=compression)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "RetryInfo" not in details(failure.value)


def test_other_media_types_and_encodings_are_415_and_say_which_would_do(front: Running) -> None:
    answer = post(front, b"", "text/plain")
    assert (answer.status_code, answer.headers["accept"]) == (415, "application/x-protobuf, application/json")
    answer = post(front, b"", content_encoding="br")
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, zstd, identity")


def test_unknown_paths_and_methods(front: Running) -> None:
    assert front.client.post("/v1/spans").status_code == 404
    answer = front.client.get("/v1/traces")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    with grpc.insecure_channel(front.grpc) as channel, pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Import")(b"", timeout=20)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


# --- Too much ---------------------------------------------------------------------------------------------------------


def test_over_quota_and_overloaded_are_retryable_and_say_when(tmp_path: Path) -> None:
    body = request(span()).SerializeToString()
    # One event in a hundred seconds.
    limits = "limits: {default: {events_per_s: 0.01, burst_s: 100}}"
    with running(tmp_path / "quota", limits) as front:
        assert post(front, body).headers["ratelimit"] == '"events";r=0;t=100'
        answer = post(front, body)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "100")
        assert answer.headers["ratelimit-policy"] == '"events";q=1;w=100'
        assert status_pb2.Status.FromString(answer.content).details[0].Is(error_details_pb2.RetryInfo.DESCRIPTOR)
        with pytest.raises(grpc.RpcError) as failure:
            export(front, body)
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 90 <= details(failure.value)["RetryInfo"].retry_delay.seconds <= 100
        account = front.buffer.accounts()["default"]
        assert (account.received, sum(account.rejected.values()), account.unaccounted) == (3, 2, 0)
    with running(tmp_path / "load") as front:
        front.buffer.stop_taking_in()
        answer = post(front, body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        with pytest.raises(grpc.RpcError) as failure:
            export(front, body)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert details(failure.value)["RetryInfo"].retry_delay.seconds == 2


def test_no_more_bytes_of_requests_are_held_than_allowed(tmp_path: Path) -> None:
    with running(tmp_path, "memory_bytes_max: 2097152\nrequest_bytes_max: 1048576") as front:
        memory = front.front.memory
        with memory.lease() as others:
            others.grow(1_500_000)
            answer = post(front, bytes(1_040_000))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            # Nobody knows how large a message will be, so that there has to be room for the largest.
            with pytest.raises(grpc.RpcError) as failure:
                export(front, b"")
            assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "RetryInfo" in details(failure.value)
            assert post(front, request(span()).SerializeToString()).status_code == 200
        assert export(front, request(span()).SerializeToString()) == b""
        assert memory.peak <= 2_097_152
        assert memory.used == 0


def test_the_health_service_says_serving(front: Running) -> None:
    with grpc.insecure_channel(front.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service="llmsentinel.v1.Ingestion"), timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
