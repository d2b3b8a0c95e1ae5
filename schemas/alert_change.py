"""Alert change: an alert of dispatch went from one state into another."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.time import Instant


class AlertState(StrEnum):
    """Where an alert stands."""

    FIRING = "firing"
    """It asks for attention."""
    SILENCED = "silenced"
    """It fires, and a person asked not to be told of it for a while; `by` has the silence's id."""
    INHIBITED = "inhibited"
    """It fires, and another alert makes it superfluous; `by` has that one's fingerprint."""
    ACKNOWLEDGED = "acknowledged"
    """It fires, and `by` takes care of it."""
    RESOLVED = "resolved"
    """It has ended, or its sender has been silent for too long."""


class AlertChange(Struct, frozen=True, kw_only=True):
    """One record of `sentinel.alerts`, under the key `fingerprint`; a repeat has the same `change_id`."""

    change_id: Annotated[str, Meta(min_length=1, max_length=64)]
    """Hash of fingerprint, state and time."""
    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    """Identity of the alert: a hash of its labels, the same as Prometheus Alertmanager's."""
    state: AlertState
    previous: AlertState | None = None
    """None for an alert that is new."""
    at: Instant
    """When dispatch found it so, RFC 3339 UTC."""
    by: str = ""
    """Whose doing it is, where somebody's; see the states."""
    tenant_id: str | None = None
    """None is an alert of the operators."""
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: Instant
    ends_at: Instant | None = None
    """None while nobody has said when it ends."""
    generator_url: str = ""
    schema_version: str = "1.0"
