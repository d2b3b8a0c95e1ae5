"""What an alert definition has Shield do, and against whom: the traffic that its grouping names, never more."""

from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from schemas.action import Action, ActionKind, ActionTarget
from schemas.alert import AlertAction, AlertDefinition, AlertDuration
from schemas.time import from_at_ms
from udfs.alerting.alert import Alert, fingerprint
from udfs.alerting.wall_clock import duration_ms

TARGET_FIELDS: Final = ActionTarget.__struct_fields__
_LIMITED: Final = frozenset({"rate_limit", "throttle"})


class ShieldConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `config` of the action `shield` may say."""

    action: Literal["block", "rate_limit", "throttle", "quarantine", "alert_only"]
    duration: AlertDuration = "1h"
    """After this the action ends by itself."""
    limit: Annotated[int, Meta(ge=1)] | None = None
    """Requests within `per`, for `rate_limit` and `throttle`."""
    per: AlertDuration | None = None


def check_shield(definition: AlertDefinition, action: AlertAction) -> None:
    """Raise ValueError, beginning with the field within the definition or the action, unless it can be carried out."""
    try:
        config = _config(action)
    except msgspec.ValidationError as error:
        raise ValueError(f"config: {error}") from None
    for name, text in (("duration", config.duration), ("per", config.per)):
        try:
            is_nothing = text is not None and duration_ms(text) == 0
        except ValueError as error:
            raise ValueError(f"config.{name}: {error}") from None
        if is_nothing:
            raise ValueError(f"config.{name}: {text} is no time at all")
    if config.action in _LIMITED and (config.limit is None or config.per is None):
        raise ValueError(f"config: {config.action} needs limit and per, as limit: 100 and per: 1m")
    if config.action not in _LIMITED and (config.limit is not None or config.per is not None):
        raise ValueError(f"config: {config.action} takes neither limit nor per")
    named = _target_fields(definition)
    if not named or (definition.tenant_id is None and "tenant_id" not in named):
        raise ValueError(
            "type: shield acts on the traffic that throttling.grouping names, which has to have tenant_id (unless the "
            "definition is a tenant's) and may have application_id, provider, model, user_id"
        )


def actions_of(definition: AlertDefinition, alert: Alert, now_ms: int) -> list[Action]:
    """Return what Shield is to do now that an alert of a definition has begun to fire.

    If what made it fire lacks a part of the target, an action would hit everybody: the record says why nothing is done.
    """
    parts = {name: alert.labels.get(name, "") for name in _target_fields(definition)}
    if definition.tenant_id is not None:
        parts["tenant_id"] = definition.tenant_id
    missing = [name for name, value in parts.items() if not value]
    target = ActionTarget(**parts)
    found = []
    for number, each in enumerate(definition.actions):
        if each.type != "shield":
            continue
        config = _config(each)
        kind = ActionKind.NONE if missing else ActionKind(config.action)
        reason = f"{definition.name}: {alert.annotations.get('observed', '')}"
        identity = (definition.alert_id, str(number), *msgspec.structs.astuple(target), str(now_ms))
        found.append(
            Action(
                action_id=sha256("\xff".join(identity).encode()).hexdigest()[:32],
                action=kind,
                target=target,
                at=from_at_ms(now_ms),
                expires_at=from_at_ms(now_ms + duration_ms(config.duration)),
                limit=None if missing else config.limit,
                per_s=None if missing or config.per is None else duration_ms(config.per) // 1_000,
                alert_id=definition.alert_id,
                fingerprint=fingerprint(alert.labels),
                reason=f"nothing is done: the alert names no {' and no '.join(missing)}" if missing else reason,
            )
        )
    return found


def _config(action: AlertAction) -> ShieldConfig:
    return msgspec.convert(action.config, ShieldConfig)


def _target_fields(definition: AlertDefinition) -> tuple[str, ...]:
    grouping = definition.throttling.grouping if definition.throttling is not None else ()
    return tuple(name for name in TARGET_FIELDS if name in grouping)
