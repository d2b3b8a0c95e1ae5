"""Calls: which items are one call of a model, how it ended, and what it cost."""

from typing import Any, Final

from schemas.telemetry import COST_MAX, COUNT_MAX, Status
from udfs.normalise.context import Context
from udfs.normalise.mapping import operations, price_lists
from udfs.prices.cost import cost_usd
from udfs.prices.table import ANY_PROVIDER

REPORTED: Final = "reported"
COMPUTED: Final = "computed"
UNKNOWN: Final = "unknown"

_COUNTED: Final = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "audio_prompt_tokens",
    "audio_completion_tokens",
    "cost",
)
_AUDIO: Final = ("audio_prompt_tokens", "audio_completion_tokens")
_TIMEOUTS: Final = frozenset({"408", "504", "deadline_exceeded"})


def settle_operation(fields: dict[str, Any]) -> bool:
    """Put our word for the operation into fields, and return whether the item is one call of a model."""
    named = fields.get("operation")
    known = operations().get(named.lower()) if named else None
    if known is not None:
        fields["operation"] = known[0]
        return known[1]
    if "tool_name" in fields:
        return False
    has_model = "model" in fields or "response_model" in fields
    return has_model and (named is None or has_tokens(fields))


def has_tokens(fields: dict[str, Any]) -> bool:
    """Return whether tokens were reported."""
    return "prompt_tokens" in fields or "completion_tokens" in fields or "total_tokens" in fields


def settle_status(fields: dict[str, Any], *, is_error: bool) -> None:
    """Say how a call ended, by the status of the item and the type of its error."""
    error_type = fields.get("error_type")
    failed = is_error or error_type is not None
    fields["status"] = Status.SUCCESS
    if failed:
        named = (error_type or "").lower()
        fields["status"] = Status.TIMEOUT if "timeout" in named or named in _TIMEOUTS else Status.ERROR


def settle_tokens(fields: dict[str, Any]) -> None:
    """Add the total where both of its parts are known; nothing that was not reported is made up."""
    if "total_tokens" not in fields and "prompt_tokens" in fields and "completion_tokens" in fields:
        fields["total_tokens"] = min(fields["prompt_tokens"] + fields["completion_tokens"], COUNT_MAX)
    if "audio_prompt_tokens" in fields or "audio_completion_tokens" in fields:
        fields["context"] = {name: fields.pop(name) for name in _AUDIO if name in fields}


def settle_cost(fields: dict[str, Any], context: Context, at_ms: int) -> None:
    """Say what a call cost and how that is known; call it before `settle_tokens`."""
    if fields.pop("currency", "USD") != "USD":
        fields.pop("cost", None)
    if "cost" in fields:
        fields["cost_source"] = REPORTED
        return
    cost = _computed(fields, context, at_ms)
    fields["cost_source"] = UNKNOWN if cost is None else COMPUTED
    if cost is not None:
        fields["cost"] = min(cost, COST_MAX)


def leave_uncounted(fields: dict[str, Any]) -> None:
    """Take tokens and cost from what is no call, so that no sum has them twice."""
    for name in _COUNTED:
        fields.pop(name, None)
    fields.pop("currency", None)


def _computed(fields: dict[str, Any], context: Context, at_ms: int) -> float | None:
    provider = fields.get("provider")
    lists = price_lists().get(provider, ()) if provider else (ANY_PROVIDER,)
    take = fields.get
    for price_list in lists:
        for model in (take("response_model"), take("model")):
            prices = context.prices.prices(price_list, model, at_ms) if model else None
            if prices is not None:
                return cost_usd(
                    prices,
                    prompt_tokens=take("prompt_tokens"),
                    completion_tokens=take("completion_tokens"),
                    cached_tokens=take("cached_tokens"),
                    cache_write_tokens=take("cache_write_tokens"),
                    audio_prompt_tokens=take("audio_prompt_tokens"),
                    audio_completion_tokens=take("audio_completion_tokens"),
                )
    return None
