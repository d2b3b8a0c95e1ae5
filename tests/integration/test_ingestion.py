"""What `sentinel up` starts takes in an unmodified OpenTelemetry program, and finds what is wrong with its calls."""

import base64
import subprocess
import time
from pathlib import Path

import httpx
import msgspec
import pytest
from confluent_kafka import Producer
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from jobs.bench.ingestion_load import otlp_body
from jobs.stack.kafka_broker import create_topics
from jobs.stack.layout import PROJECT, PYTHON
from jobs.stack.ports import LOOPBACK, free_port
from jobs.stack.stack import Stack
from jobs.topics import ANOMALIES, DEAD_LETTERS, TELEMETRY, Topic
from schemas.anomaly import Anomaly
from schemas.codec import decode_event
from schemas.dead_letter import DeadLetter
from schemas.telemetry import HEARTBEAT_METRIC
from tests.ingestion import EVENT
from tests.runs import read_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CALLS = 400
LATENCY_S = 0.8
ABSURD_S = 900.0


def test_an_absurd_call_of_an_opentelemetry_program_becomes_an_anomaly(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack")
    stack.up(taskmanagers=2)
    try:
        ports = stack.ports
        provider = TracerProvider(resource=Resource.create({"service.name": "checkout"}))
        exporter = OTLPSpanExporter(endpoint=f"http://{LOOPBACK}:{ports.ingestion_grpc}", insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=CALLS + 1))
        tracer = provider.get_tracer("instrumentation")
        now_ns = time.time_ns()
        for number in range(CALLS + 1):
            seconds = ABSURD_S if number == CALLS else LATENCY_S * (1 + number % 7 / 10)
            # Detectors of calls know what is usual after five minutes.
            ended_ns = now_ns - (CALLS - number) * 1_000_000_000
            span = tracer.start_span("chat gpt-4o", start_time=ended_ns - int(seconds * 1e9))
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.usage.input_tokens": 700,
                    "gen_ai.usage.output_tokens": 90,
                }
            )
            span.end(ended_ns)
        assert provider.force_flush(60_000)
        provider.shutdown()

        values = read_until(stack, ANOMALIES, lambda values: len(values) > 0)
        anomalies = [msgspec.json.decode(value, type=Anomaly) for value in values]
        assert any(each.metric == "latency_ms" and each.severity == "critical" for each in anomalies)

        # Every event that was accepted is in Kafka, once.
        telemetry = read_until(
            stack, TELEMETRY, lambda values: sum(HEARTBEAT_METRIC.encode() not in value for value in values) > CALLS
        )
        assert sum(HEARTBEAT_METRIC.encode() not in value for value in telemetry) == CALLS + 1
        url = f"http://{LOOPBACK}:{ports.ingestion_http}/v1/ledger"
        account = httpx.get(url, trust_env=False, timeout=30).json()["total"]
        assert (account["received"], account["delivered"]) == (CALLS + 1, CALLS + 1)
        assert account["unaccounted"] == 0
    finally:
        stack.down()


def test_foreign_topics_are_normalised_and_what_is_rejected_becomes_a_dead_letter(stack: Stack, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "ingestion.yaml"
    config.write_text(
        f"""
        listen: {{http: '{LOOPBACK}:{port}', grpc: null}}
        kafka: {{bootstrap_servers: '{stack.bootstrap_servers}'}}
        topics:
          - {{topic: calls, format: json, tenant: acme}}
          - {{topic: spans, format: otlp-traces, tenant: globex}}
        """
    )
    create_topics(stack.ports, [Topic("calls"), Topic("spans")])
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    application = f"foreign-{port}"
    bad = b'{"event_id": "no more"}'
    for value in (msgspec.json.encode(EVENT | {"application_id": application, "tenant_id": "other"}), bad):
        producer.produce("calls", value)
    producer.produce("spans", otlp_body(1, 0).replace(b"bench", b"spans"))
    assert producer.flush(60) == 0
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([PYTHON, "-m", "jobs.ingestion", "--config", config], cwd=PROJECT, stderr=log)
        try:

            def found(values: list[bytes]) -> bool:
                return any(application.encode() in value for value in values) and any(
                    b'"globex"' in value for value in values
                )

            values = read_until(stack, TELEMETRY, found)
            letters = read_until(stack, DEAD_LETTERS, lambda values: any(b'"ingestion"' in value for value in values))
        finally:
            process.terminate()
            assert process.wait(60) == 0, (tmp_path / "log").read_text()
    events = [decode_event(value) for value in values]
    assert {event.tenant_id for event in events if event.application_id == application} == {"acme"}
    assert {event.data.operation for event in events if event.tenant_id == "globex"} == {"chat"}
    decoded = [msgspec.json.decode(value, type=DeadLetter) for value in letters]
    assert bad in {base64.b64decode(letter.payload_base64) for letter in decoded if letter.topic == "ingestion"}
