"""Prints what one event costs in ingestion, from the bytes of a request to the bytes of a record.

    python -m tests.benchmarks.normalise [events in a request, 512 as exporters send them]

Processor time of one thread in microseconds an event, the best of seven turns. Spans have 20 attributes, as those of
today's OpenTelemetry instrumentations without texts; the second kind has a prompt and an answer of 1 kB together.
"""

import sys
from collections.abc import Callable
from time import process_time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from jobs.replay.bulk import Bulk, bulk_events
from schemas.codec import encode
from tests.normalising import context
from tests.otlp import resource_spans, span
from udfs.normalise.context import Context
from udfs.normalise.own_events import events_of_lines
from udfs.normalise.spans import events_of_spans
from udfs.normalise.wrappers import Wrappers
from udfs.text.judge import KeywordRule

_TURNS = 7
_RULES = (KeywordRule(category="prompt_injection", phrases=("ignore all previous instructions",)),)


def attributes(number: int) -> dict[str, object]:
    """Return the attributes of a call."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-11-20",
        "gen_ai.response.id": f"chatcmpl-{number:012x}",
        "gen_ai.conversation.id": f"conversation-{number % 97}",
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.top_p": 0.95,
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.212,
        "gen_ai.usage.input_tokens": 812 + number % 100,
        "gen_ai.usage.output_tokens": 164,
        "gen_ai.usage.cache_read.input_tokens": 512,
        "gen_ai.output.type": "text",
        "server.address": "api.openai.com",
        "server.port": 443,
        "user.id": f"user-{number % 1000}",
        "openai.api.type": "chat_completions",
    }


def request(events: int, texts: dict[str, object]) -> bytes:
    """Return an OTLP request."""
    spans = (span(attributes(number) | texts, number=number + 1) for number in range(events))
    return ExportTraceServiceRequest(
        resource_spans=[resource_spans(*spans, host__name="pod-7f9c5", deployment__environment__name="prod")]
    ).SerializeToString()


def of_otlp(body: bytes, known: Context) -> list[bytes]:
    """Return the records of an OTLP request."""
    message = ExportTraceServiceRequest.FromString(body)
    return [encode(event) for event in events_of_spans(message.resource_spans, known, Wrappers()).events]


def of_lines(body: bytes, known: Context) -> list[bytes]:
    """Return the records of NDJSON."""
    return [encode(event) for event in events_of_lines(body, known).events]


def microseconds(work: Callable[[], list[bytes]], events: int) -> float:
    """Return the processor time of an event."""
    best = float("inf")
    for _ in range(_TURNS):
        began = process_time()
        assert len(work()) == events
        best = min(best, process_time() - began)
    return best / events * 1e6


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    known = context(text_rules=_RULES)
    plain = request(number, {})
    said = '[{"role": "user", "parts": [{"type": "text", "content": "' + "why is the sky blue? " * 24 + '"}]}]'
    spoken = request(number, {"gen_ai.input.messages": said, "gen_ai.output.messages": said})
    lines = b"\n".join(event.value for event in bulk_events(Bulk(events=number, start_at_ms=1_780_000_000_000)))
    turns = {
        "OTLP, 20 attributes": lambda: of_otlp(plain, known),
        "OTLP with texts": lambda: of_otlp(spoken, known),
        "NDJSON, our own schema": lambda: of_lines(lines, known),
    }
    for name, work in turns.items():
        sys.stdout.write(f"{name:24}{microseconds(work, number):6.1f} us an event\n")
