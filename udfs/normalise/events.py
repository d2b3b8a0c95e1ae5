"""Events: what was found of one item, enriched and put into our envelope."""

from typing import Any, Final

from msgspec import Struct

from schemas.dead_letter import RejectReason
from schemas.telemetry import Data, EventType, Metadata, Parameters, Source, Status, TelemetryEvent
from schemas.time import from_at_ms
from udfs.normalise.context import Context
from udfs.normalise.found import Found
from udfs.normalise.normalised import Rejection
from udfs.normalise.texts import without_texts
from udfs.prices.cost import cost_usd

NOT_LLM: Final = "not_llm"
"""Why an item was ignored: nothing in it speaks of a language model."""
UNKNOWN_SERVICE: Final = "unknown_service"
"""What OpenTelemetry calls a program that does not say its name."""

_TELLING: Final = frozenset(
    {"operation", "provider", "model", "response_model", "prompt_tokens", "completion_tokens", "total_tokens"}
    | {"tool_name", "agent_name", "finish_reason", "cost", "prompt", "response"}
)
"""Fields that only telemetry of language models has."""

_CALLS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings", "rerank"})
"""Operations that are one call of a model."""


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


class Origin(Struct, frozen=True, kw_only=True):
    """What an item says of itself beside its attributes."""

    event_id: str
    at_ms: int
    trace_id: str | None
    span_id: str | None
    is_call: bool
    is_error: bool


def is_about_models(found: Found) -> bool:
    """Return whether an item is telemetry of a language model."""
    return not _TELLING.isdisjoint(found.fields)


def is_call(found: Found) -> bool:
    """Return whether an item is one call of a model."""
    operation = found.fields.get("operation")
    return operation in _CALLS if operation else "model" in found.fields or "response_model" in found.fields


def event_of(found: Found, context: Context, origin: Origin) -> TelemetryEvent:
    """Return the event that an item is."""
    fields = found.fields
    take = fields.pop
    service = take("service", None) or UNKNOWN_SERVICE
    source = Source(service=service, host=take("host", ""), version=take("version", None))
    correlation_id = take("correlation_id", None) or origin.trace_id
    metadata = Metadata(
        user_id=take("user_id", None),
        session_id=take("session_id", None),
        environment=take("environment", None) or context.environment,
        attributes={"sentinel.out_of_range": found.odd} if found.odd else None,
    )
    temperature, max_tokens, top_p = take("temperature", None), take("max_tokens", None), take("top_p", None)
    if temperature is not None or max_tokens is not None or top_p is not None:
        fields["parameters"] = Parameters(temperature=temperature, max_tokens=max_tokens, top_p=top_p)
    without_texts(fields, context)
    if origin.is_call:
        kind = EventType.RESPONSE
        _add_status(fields, is_error=origin.is_error)
        if fields["status"] is not Status.SUCCESS:
            kind = EventType.ERROR
        _add_total(fields)
        _add_cost(fields, context, origin.at_ms)
    else:
        kind = EventType.TRACE
        for name in ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cost"):
            fields.pop(name, None)
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


def _add_status(fields: dict[str, Any], *, is_error: bool) -> None:
    error_type = fields.get("error_type")
    if error_type in {"timeout", "408", "504"}:
        fields["status"] = Status.TIMEOUT
    else:
        fields["status"] = Status.ERROR if is_error or error_type else Status.SUCCESS


def _add_total(fields: dict[str, Any]) -> None:
    if "total_tokens" not in fields and "prompt_tokens" in fields and "completion_tokens" in fields:
        fields["total_tokens"] = fields["prompt_tokens"] + fields["completion_tokens"]


def _add_cost(fields: dict[str, Any], context: Context, at_ms: int) -> None:
    if "cost" in fields:
        fields["cost_source"] = "reported"
        return
    fields["cost_source"] = "unknown"
    for model in (fields.get("response_model"), fields.get("model")):
        prices = context.prices.prices(fields.get("provider"), model, at_ms) if model else None
        if prices is None:
            continue
        cost = cost_usd(
            prices,
            prompt_tokens=fields.get("prompt_tokens"),
            completion_tokens=fields.get("completion_tokens"),
            cached_tokens=fields.get("cached_tokens"),
            cache_write_tokens=fields.get("cache_write_tokens"),
        )
        if cost is not None:
            fields["cost"], fields["cost_source"] = cost, "computed"
        return
