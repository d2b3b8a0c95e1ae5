"""What `sentinel up` starts takes in an unmodified OpenTelemetry program, and finds what is wrong with its calls."""

import time
from pathlib import Path

import httpx
import msgspec
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from jobs.stack.ports import LOOPBACK
from jobs.stack.stack import Stack
from jobs.topics import ANOMALIES, TELEMETRY
from schemas.anomaly import Anomaly
from schemas.telemetry import HEARTBEAT_METRIC
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
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("instrumentation")
        now_ns = time.time_ns()
        for number in range(CALLS + 1):
            seconds = ABSURD_S if number == CALLS else LATENCY_S * (1 + number % 7 / 10)
            ended_ns = now_ns + number * 1_000_000
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
