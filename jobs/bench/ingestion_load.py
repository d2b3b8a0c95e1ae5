"""The load of the benchmark of ingestion: bodies made beforehand, sent over kept connections, timed.

Run as a process of its own, so that what it costs is not on the account of what it measures.
"""

import argparse
import http.client
import json
import os
import socket
import sys
import threading
import time
from typing import Any, Final

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

_MODELS: Final = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "gemini-2.5-pro")
_WAYS: Final = {
    "otlp": ("/v1/traces", "application/x-protobuf"),
    "ndjson": ("/v1/events", "application/x-ndjson"),
}
_TIMEOUT_S: Final = 60.0
_RETRYABLE: Final = frozenset({429, 503})


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a load came to."""

    accepted: int
    refused: int
    """Events in requests that were answered 429 or 503 and not sent again."""
    seconds: float
    request_ms: list[float]
    """From the moment a request was due to its answer."""


def main() -> None:
    """Send, and print what it came to as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True, help="http://host:port or unix:/path")
    parser.add_argument("--format", choices=("otlp", "ndjson"), required=True)
    parser.add_argument("--batch", type=int, required=True, help="events of a request")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, help="events a second; as fast as answers come without it")
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    sent = send(
        arguments.to, arguments.format, arguments.batch, arguments.seconds, arguments.rate, arguments.connections
    )
    sys.stdout.write(msgspec.json.encode(sent).decode())


def send(to: str, form: str, batch: int, seconds: float, rate: float | None, connections: int) -> Sent:
    """Send requests for so long, from several threads; each begins when it is due, or when its predecessor ended."""
    path, media_type = (
        ("/v1/traces", "application/x-protobuf") if form == "otlp" else ("/v1/events", "application/x-ndjson")
    )
    # Ids differ between requests, and making bodies costs nothing while time is taken.
    bodies = [otlp_body(batch, number) if form == "otlp" else ndjson_body(batch, number) for number in range(64)]
    began = time.perf_counter()
    results: list[list[tuple[float, bool]]] = [[] for _ in range(connections)]

    def run(lane: int) -> None:
        connection = opened(to)
        number = lane
        while (due := began + number * batch / rate if rate else time.perf_counter()) < began + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.request("POST", path, bodies[number % len(bodies)], {"content-type": media_type})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status not in {200, 202, *_RETRYABLE}:
                raise SystemExit(f"answered {answer.status}: {said[:300]!r}")
            results[lane].append(((time.perf_counter() - due) * 1_000, answer.status not in _RETRYABLE))
            number += connections
        connection.close()

    threads = [threading.Thread(target=run, args=(lane,)) for lane in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - began
    answers = [answer for lane in results for answer in lane]
    taken = sum(is_taken for _, is_taken in answers)
    return Sent(
        accepted=taken * batch,
        refused=(len(answers) - taken) * batch,
        seconds=spent,
        request_ms=sorted(milliseconds for milliseconds, _ in answers),
    )


def opened(to: str) -> http.client.HTTPConnection:
    """Return a connection to ingestion."""
    if not to.startswith("unix:"):
        return http.client.HTTPConnection(to.removeprefix("http://"), timeout=_TIMEOUT_S)
    connection = http.client.HTTPConnection("localhost", timeout=_TIMEOUT_S)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(to.removeprefix("unix:"))
    return connection


def ndjson_body(events: int, number: int) -> bytes:
    """Return events of about 600 bytes."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    return b"\n".join(
        json.dumps(
            {
                "event_id": os.urandom(12).hex(),
                "timestamp": at,
                "source": {"service": f"service-{position % 20}", "host": "bench", "version": "1.4.2"},
                "event_type": "llm.response",
                "application_id": f"service-{position % 20}",
                "trace_id": os.urandom(16).hex(),
                "span_id": os.urandom(8).hex(),
                "data": {
                    "provider": "openai",
                    "operation": "chat",
                    "model": _MODELS[position % len(_MODELS)],
                    "status": "success",
                    "latency_ms": 800.0 + position,
                    "ttft_ms": 200.0,
                    "stream": True,
                    "prompt_tokens": 700 + number,
                    "completion_tokens": 200 + position,
                    "finish_reason": "stop",
                },
                "metadata": {
                    "user_id": f"user-{position % 100}",
                    "session_id": f"s-{position}",
                    "environment": "bench",
                },
            }
        ).encode()
        for position in range(events)
    )


def otlp_body(spans: int, number: int) -> bytes:
    """Return an export request with spans of generation B, as an SDK batches them."""
    now_ns = time.time_ns()
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=_attributes({"service.name": "bench", "host.name": "bench"})),
                scope_spans=[ScopeSpans(spans=[_span(position, number, now_ns) for position in range(spans)])],
            )
        ]
    ).SerializeToString()


def _span(position: int, number: int, now_ns: int) -> Span:
    return Span(
        name="chat gpt-4o",
        kind=Span.SPAN_KIND_CLIENT,
        trace_id=os.urandom(16),
        span_id=os.urandom(8),
        start_time_unix_nano=now_ns - 800_000_000,
        end_time_unix_nano=now_ns,
        attributes=_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": _MODELS[position % len(_MODELS)],
                "gen_ai.response.model": "gpt-4o-2024-08-06",
                "gen_ai.response.id": f"chatcmpl-{number}-{position}",
                "gen_ai.request.temperature": 0.2,
                "gen_ai.request.max_tokens": 1_024,
                "gen_ai.usage.input_tokens": 700 + number,
                "gen_ai.usage.output_tokens": 200 + position,
                "gen_ai.conversation.id": f"s-{position}",
                "user.id": f"user-{position % 100}",
                "server.address": "api.openai.com",
            }
        ),
    )


def _attributes(values: dict[str, Any]) -> list[KeyValue]:
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    return [KeyValue(key=key, value=AnyValue(**{kinds[type(value)]: value})) for key, value in values.items()]


if __name__ == "__main__":
    main()
