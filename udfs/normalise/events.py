"""Events: what was found of one item, enriched and put into our envelope."""

from typing import Any, Final

from msgspec import Struct

from schemas.dead_letter import RejectReason
from schemas.telemetry import Data, EventType, Metadata, Parameters, Source, Status, TelemetryEvent
from schemas.time import from_at_ms
from udfs.normalise.attributes import ATTRIBUTES_MAX, kept_attributes
from udfs.normalise.calls import leave_uncounted, settle_cost, settle_status, settle_tokens
from udfs.normalise.context import Context
from udfs.normalise.found import Found
from udfs.normalise.normalised import Rejection
from udfs.normalise.texts import reported_guardrail, settle_texts

NOT_LLM: Final = "not_llm"
"""Why an item was ignored: nothing in it speaks of a language model."""
OUT_OF_RANGE: Final = "sentinel.out_of_range"
"""In `metadata.attributes`: what could not be taken as it was reported, by its name there."""
UNKNOWN_SERVICE: Final = "unknown_service"
"""What OpenTelemetry calls a program that does not say its name."""

_TELLING: Final = frozenset(
    {"operation", "provider", "model", "response_model", "prompt_tokens", "completion_tokens", "total_tokens"}
    | {"tool_name", "agent_name", "finish_reason", "cost", "prompt", "response", "guardrail_verdict"}
)
"""Fields that only telemetry of language models has."""


class UnfitError(Exception):
    """An item that cannot become an event."""

    def __init__(self, reason: RejectReason, pointer: str, problem: str) -> None:
        """Take the reason, where the fault is, and the sentence."""
        super().__init__(problem)
        self._reason, self._pointer, self._problem = reason, pointer, problem

    def rejection(self, index: int) -> Rejection:
        """Return what the sender is told."""
        name = self._pointer.removeprefix("/").replace("/", ".")
        detail = f"{name}: {self._problem}" if name else self._problem
        return Rejection(index=index, reason=self._reason, pointer=self._pointer, detail=detail)


class Origin(Struct, frozen=True, kw_only=True, gc=False):
    """What an item says of itself beside its attributes."""

    event_id: str
    at_ms: int
    trace_id: str | None
    span_id: str | None
    is_error: bool | None
    """Whether it failed; None if it does not say."""
    is_call: bool
    """Whether it counts as a call; what repeats a call inside it does not."""


def is_about_models(found: Found) -> bool:
    """Return whether an item is telemetry of a language model."""
    return not _TELLING.isdisjoint(found.fields)


def event_of(found: Found, context: Context, origin: Origin) -> TelemetryEvent:
    """Return the event that an item is: a call as `llm.response` or `llm.error`, any other step as `llm.trace`."""
    fields = found.fields
    take = fields.pop
    take("first_token_at_ms", None)
    service = take("service", None) or UNKNOWN_SERVICE
    source = Source(service=service, host=take("host", ""), version=take("version", None))
    metadata = metadata_of(found, context)
    correlation_id = take("correlation_id", None) or origin.trace_id
    if "temperature" in fields or "max_tokens" in fields or "top_p" in fields:
        fields["parameters"] = Parameters(
            temperature=take("temperature", None), max_tokens=take("max_tokens", None), top_p=take("top_p", None)
        )
    if guardrail := reported_guardrail(fields):
        fields["guardrail"] = guardrail
    settle_texts(fields, context)
    failed = take("level", None) == "ERROR" or origin.is_error is True
    if failed or origin.is_error is not None or "error_type" in fields:
        settle_status(fields, is_error=failed)
    if origin.is_call:
        kind = EventType.RESPONSE if fields["status"] is Status.SUCCESS else EventType.ERROR
        settle_cost(fields, context, origin.at_ms)
        settle_tokens(fields)
    else:
        kind = EventType.TRACE
        leave_uncounted(fields)
    return TelemetryEvent(
        event_id=origin.event_id,
        timestamp=from_at_ms(origin.at_ms),
        source=source,
        event_type=kind,
        application_id=service,
        data=Data(**fields),
        tenant_id=context.tenant_id,
        correlation_id=correlation_id,
        trace_id=origin.trace_id,
        span_id=origin.span_id,
        metadata=metadata,
    )


def metadata_of(found: Found, context: Context) -> Metadata | None:
    """Return who called and from where, taken out of the fields; None if nothing says so."""
    take = found.fields.pop
    attributes: dict[str, Any] | None = None
    if found.others or found.odd:
        attributes = kept_attributes(found.others, redact=context.privacy.redact)
        if found.odd:
            attributes[OUT_OF_RANGE] = dict(sorted(found.odd.items()))
    user_id, session_id, tags = take("user_id", None), take("session_id", None), take("tags", None)
    tags = tags and dict(sorted(tags.items())[:ATTRIBUTES_MAX])
    environment = take("environment", None) or context.environment
    if user_id is session_id is tags is environment is None and not attributes:
        return None
    return Metadata(
        user_id=user_id, session_id=session_id, environment=environment, tags=tags, attributes=attributes or None
    )
