"""The official OpenTelemetry SDK for Python and its exporters are clients that nobody had to change."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult

from jobs.ingestion.settings import LimitSettings
from jobs.stack.waiting import wait_until
from tests.documents import blocks_of
from tests.ingestion import Running, running
from udfs.ingestion.rate import Limits

pytestmark = pytest.mark.process

RESOURCE = Resource.create({"service.name": "checkout", "deployment.environment.name": "test"})
README = Path(__file__).parents[2] / "README.md"
WAYS = ["grpc", "http", "http-gzip", "grpc-gzip"]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("i")) as front:
        yield front


def exporter(way: str, front: Running, of_grpc: Any, of_http: Any, path: str) -> Any:
    if way.startswith("grpc"):
        compression = grpc.Compression.Gzip if way.endswith("gzip") else grpc.Compression.NoCompression
        return of_grpc(endpoint=f"http://{front.grpc}", insecure=True, compression=compression)
    compression = Compression.Gzip if way.endswith("gzip") else Compression.NoCompression
    return of_http(endpoint=f"{front.http}/v1/{path}", compression=compression)


@pytest.mark.parametrize("way", WAYS)
def test_spans_of_the_sdk_become_events(front: Running, way: str) -> None:
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(exporter(way, front, GrpcSpans, HttpSpans, "traces")))
    with closing(_Shutdown(provider)):
        tracer = provider.get_tracer("instrumentation")
        for number in range(30):
            with tracer.start_as_current_span("chat gpt-4o") as span:
                span.set_attribute("gen_ai.operation.name", "chat")
                span.set_attribute("gen_ai.provider.name", "openai")
                span.set_attribute("gen_ai.request.model", "gpt-4o")
                span.set_attribute("gen_ai.usage.input_tokens", number)
            with tracer.start_as_current_span("GET /"):
                pass
        assert provider.force_flush()
    events = front.events()
    assert [event.data.prompt_tokens for event in events] == list(range(30))
    assert {event.application_id for event in events} == {"checkout"}
    assert {event.metadata and event.metadata.environment for event in events} == {"test"}


@pytest.mark.parametrize("way", ["grpc", "http-gzip"])
def test_metrics_of_the_sdk_become_events(front: Running, way: str) -> None:
    reader = PeriodicExportingMetricReader(
        exporter(way, front, GrpcMetrics, HttpMetrics, "metrics"), export_interval_millis=float("inf")
    )
    provider = MeterProvider([reader], resource=RESOURCE)
    with closing(_Shutdown(provider)):
        histogram = provider.get_meter("m").create_histogram("gen_ai.client.operation.duration", "s")
        histogram.record(1.5, {"gen_ai.request.model": f"gpt-4o-{way}"})
        assert provider.force_flush()
        events = front.events()
    [event] = [event for event in events if event.data.model == f"gpt-4o-{way}"]
    assert event.event_type == "llm.metric"
    assert event.data.metric_name == "gen_ai.client.operation.duration"


@pytest.mark.parametrize("way", ["grpc", "http"])
def test_logs_of_the_sdk_are_taken(front: Running, way: str) -> None:
    provider = LoggerProvider(resource=RESOURCE)
    failures = logging.getLogger("opentelemetry")
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    failures.addHandler(handler)
    try:
        with closing(_Shutdown(provider)):
            provider.add_log_record_processor(
                SimpleLogRecordProcessor(exporter(way, front, GrpcLogs, HttpLogs, "logs"))
            )
            provider.get_logger("t").emit(LogRecord(body="a record that says nothing of models"))
            assert provider.force_flush()
    finally:
        failures.removeHandler(handler)
    assert heard == []
    front.events()


@pytest.mark.parametrize("way", ["grpc", "http"])
def test_the_sdk_sends_again_what_was_over_quota(way: str, tmp_path: Path) -> None:
    with running(tmp_path, "limits: {default: {events_per_s: 1, burst_s: 1}}") as front:
        spans = exporter(way, front, GrpcSpans, HttpSpans, "traces")
        outcomes: list[SpanExportResult] = []
        provider = TracerProvider(resource=RESOURCE)
        provider.add_span_processor(SimpleSpanProcessor(_Noting(spans, outcomes)))
        with closing(_Shutdown(provider)):
            for _ in range(2):
                with provider.get_tracer("t").start_as_current_span("chat") as span:
                    span.set_attribute("gen_ai.request.model", "gpt-4o")
        # The second came too early, was told when to come again, and did.
        assert outcomes == [SpanExportResult.SUCCESS] * 2
        assert len(front.events()) == 2
        account = front.buffer.accounts()["default"]
        assert sum(account.rejected.values()) >= 1
        front.front.reload(LimitSettings(default=Limits()))


@pytest.mark.parametrize(("way", "counted"), [("grpc", "otlp_grpc_traces"), ("http", "otlp_http_traces")])
def test_the_sdk_sends_again_what_a_full_server_did_not_take(way: str, counted: str, tmp_path: Path) -> None:
    with running(tmp_path, "memory_bytes_max: 2097152\nrequest_bytes_max: 1048576") as front:
        provider = TracerProvider(resource=RESOURCE)
        provider.add_span_processor(BatchSpanProcessor(exporter(way, front, GrpcSpans, HttpSpans, "traces")))
        with closing(_Shutdown(provider)):
            for number in range(30):
                with provider.get_tracer("t").start_as_current_span("chat") as span:
                    span.set_attribute("gen_ai.request.model", "gpt-4o")
                    span.set_attribute("gen_ai.usage.input_tokens", number)
            refused = f'sentinel_ingestion_requests_total{{outcome="overloaded",way="{counted}"}}'
            with ThreadPoolExecutor() as other, front.front.memory.lease() as all_of_it:
                size = front.front.memory.bytes_max - front.front.memory.used
                all_of_it.grow(size)
                flushed = other.submit(provider.force_flush)
                wait_until(lambda: refused in front.client.get("/metrics").text, "a refusal", deadline_s=60)
                all_of_it.shrink(size)
                assert flushed.result(60)
        assert [event.data.prompt_tokens for event in front.events()] == list(range(30))


def test_the_program_in_the_readme_reports_its_call(front: Running) -> None:
    [program] = [block.text for block in blocks_of(README) if block.file == "app.py"]
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{front.grpc}", "OTEL_SERVICE_NAME": "checkout"}
    subprocess.run([sys.executable, "-c", program], env=os.environ | told, check=True, timeout=60)
    [event] = front.events()
    assert (event.application_id, event.data.model, event.data.latency_ms) == ("checkout", "gpt-4o", 900_000)


class _Noting(SpanExporter):
    """Notes what the exporter made of each batch."""

    def __init__(self, exporter: SpanExporter, outcomes: list[SpanExportResult]) -> None:
        self._exporter = exporter
        self._outcomes = outcomes

    def export(self, spans: Any) -> SpanExportResult:
        self._outcomes.append(self._exporter.export(spans))
        return self._outcomes[-1]

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _Shutdown:
    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def close(self) -> None:
        self._provider.shutdown()
