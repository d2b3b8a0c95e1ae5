"""Action: what Shield is to do about some traffic."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.time import Instant


class ActionKind(StrEnum):
    """What is to be done with the requests of a target. Readers do nothing for a word they do not know."""

    NONE = "none"
    """Nothing; the zero value, and what holds where none is given."""
    BLOCK = "block"
    """Refuse them."""
    RATE_LIMIT = "rate_limit"
    """Refuse those beyond `limit` in `per_s`."""
    THROTTLE = "throttle"
    """Delay those beyond `limit` in `per_s`."""
    QUARANTINE = "quarantine"
    """Hold them back for a person to judge."""
    ALERT_ONLY = "alert_only"
    """Let them through and tell of them."""


class ActionTarget(Struct, frozen=True, kw_only=True):
    """Requests that have every part that is given; an empty part is any. Nobody's requests are those of no tenant."""

    tenant_id: str = ""
    application_id: str = ""
    provider: str = ""
    model: str = ""
    user_id: str = ""


class Action(Struct, frozen=True, kw_only=True):
    """One record of `sentinel.actions`, under the key `target.tenant_id`; a repeat has the same `action_id`.

    It ends by itself: from `expires_at` on it means nothing, whenever it is read.
    """

    action_id: Annotated[str, Meta(min_length=1, max_length=64)]
    """Hash of the definition, the place of the action in it, the target and the time."""
    action: ActionKind = ActionKind.NONE
    target: ActionTarget = ActionTarget()
    at: Instant
    """When it was decided, RFC 3339 UTC."""
    expires_at: Instant
    limit: Annotated[int, Meta(ge=1)] | None = None
    """Requests, for `rate_limit` and `throttle`."""
    per_s: Annotated[int, Meta(ge=1)] | None = None
    """Length of time that `limit` is for, in seconds."""
    alert_id: str = ""
    """The alert definition that wants it."""
    fingerprint: str = ""
    """The alert that it was decided for, as in `sentinel.alerts`."""
    reason: str = ""
    """For people; of `none` why nothing is done."""
    schema_version: str = "1.0"
