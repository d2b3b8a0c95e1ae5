"""Normalised: what became of every item of a request, none of them lost."""

from collections import Counter
from typing import NamedTuple

from msgspec import Struct, field

from schemas.dead_letter import RejectReason
from schemas.telemetry import TelemetryEvent


class Rejection(Struct, frozen=True, kw_only=True):
    """An item that cannot become an event."""

    index: int
    """Position in the request from 0: of the span, data point or log record over all resources and scopes in their
    order, or of the event in an array or NDJSON."""
    reason: RejectReason
    pointer: str
    """JSON pointer (RFC 6901) to the fault within the item; empty for the item as a whole."""
    detail: str
    """One sentence: what is wrong and where; it never quotes content."""


class Fallback(NamedTuple):
    """A field that was filled from another name than today's OpenTelemetry one."""

    field: str
    table: str
    """File name of the mapping table, without its ending."""


class Normalised(Struct, kw_only=True):
    """Events in the order of their items; `items` is always events, rejected and ignored together."""

    events: list[TelemetryEvent] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    """Items that are in order but no telemetry of language models, counted by why."""
    fallbacks: Counter[Fallback] = field(default_factory=Counter)

    @property
    def items(self) -> int:
        """How many items the request had."""
        return len(self.events) + len(self.rejected) + self.ignored.total()


def record_key(event: TelemetryEvent) -> bytes:
    """Return the key of the event in `llm-telemetry`: tenant and application."""
    return f"{event.tenant_id}|{event.application_id}".encode()
