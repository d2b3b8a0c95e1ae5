"""Span processor: OpenTelemetry spans of model calls, handed over when they end.

    provider.add_span_processor(SentinelSpanProcessor())

Needs `opentelemetry-sdk` and `opentelemetry-exporter-otlp-proto-common`, which come with OpenTelemetry's own exporters.
"""

from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from jobs.client.handover import Handover, Item, default_handover

_PATH: Final = "/v1/traces"
_MEDIA_TYPE: Final = "application/x-protobuf"
_PREFIXES: Final = ("gen_ai.", "llm.", "openinference.", "traceloop.", "langfuse.")


class SentinelSpanProcessor(SpanProcessor):
    """Hands over spans that speak of a language model, sampled ones only; others do not leave the process."""

    def __init__(self, handover: Handover | None = None) -> None:
        """Take the queue to use; by default the one of this process."""
        self._handover = handover or default_handover()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: a span is worth telling when it has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Hand the span over; never waits, never raises."""
        context = span.context
        if context is not None and context.trace_flags.sampled and _is_about_models(span):
            self._handover.put(Item(_PATH, span, _encoded, _MEDIA_TYPE))

    def shutdown(self) -> None:
        """Send what is there, as far as a second allows."""
        self._handover.flush(1.0)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything handed over before was sent or given up; return whether it was in time."""
        return self._handover.flush(timeout_millis / 1_000)


def _is_about_models(span: ReadableSpan) -> bool:
    return any(name.startswith(_PREFIXES) for name in span.attributes or ())


def _encoded(spans: list[Any]) -> bytes:
    return encode_spans(spans).SerializeToString()
