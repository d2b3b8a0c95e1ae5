"""Events of spans: what older conventions say in them: errors, messages, the first token."""

from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.telemetry import MILLISECONDS_MAX
from udfs.normalise.found import Found
from udfs.normalise.messages import said

_FIRST_TOKEN: Final = frozenset({"First Token Stream Event", "gen_ai.first_token"})
"""OpenInference's, and what hand-made instrumentation calls it."""
_CONTENT: Final = "gen_ai.event.content"
_NANOSECONDS: Final = 1_000_000


def read_span_events(span: Span, found: Found) -> None:
    """Take in the events of a span, after its attributes, which are stronger."""
    said_by_whom: dict[str, list[str]] = {"prompt": [], "response": []}
    in_events = Found()
    for event in span.events:
        if event.name in _FIRST_TOKEN and span.start_time_unix_nano:
            ttft_ms = (event.time_unix_nano - span.start_time_unix_nano) / _NANOSECONDS
            if 0 <= ttft_ms <= MILLISECONDS_MAX:
                found.offer("ttft_ms", ttft_ms)
        elif event.name == "exception":
            in_events.read(event.attributes)
        elif event.name.startswith("gen_ai."):
            field = "response" if event.name == "gen_ai.choice" else "prompt"
            for pair in event.attributes:
                if pair.key == _CONTENT:
                    said_by_whom[field].append(said(pair.value.string_value))
            in_events.read(pair for pair in event.attributes if pair.key != _CONTENT)
    for field in ("error_type", "prompt", "response", "finish_reason"):
        found.offer(field, in_events.fields.get(field))
    for field, texts in said_by_whom.items():
        found.offer(field, "\n".join(filter(None, texts)) or None)
