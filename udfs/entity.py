"""Entities: what baselines belong to, as keys of the state and as values for readers."""

from functools import lru_cache
from urllib.parse import quote

from schemas.anomaly import Entity, EntityType

SEPARATOR = "\x1f"
"""Joins the parts of a key; identifiers hold no control characters (`schemas.codec`)."""
UNKNOWN = "unknown"
"""Stands for a provider or model that was not given."""


def model_key(provider: str, model: str, tenant: str, application: str) -> str:
    """Return the key of one model as used by one application of one tenant."""
    return SEPARATOR.join((provider, model, tenant, application))


def user_key(tenant: str, application: str, user: str) -> str:
    """Return the key of one user of one application."""
    return SEPARATOR.join((tenant, application, user))


def application_key(tenant: str, application: str) -> str:
    """Return the key of all calls of one application of one tenant."""
    return SEPARATOR.join((tenant, application))


def tenant_provider_key(tenant: str, provider: str) -> str:
    """Return the key of all calls of one tenant to one provider."""
    return SEPARATOR.join((tenant, provider))


# More than one TaskManager is planned for: with fewer, as many entities in turn would find none of theirs.
@lru_cache(maxsize=262_144)
def entity_of(kind: EntityType, key: str) -> Entity:
    """Return the entity of a key; its id is the type and the percent-encoded parts, joined by `/`."""
    parts = key.split(SEPARATOR)
    if kind is EntityType.MODEL:
        provider, model, tenant, application = parts
        return _entity(kind, (tenant, application, provider, model), tenant, application, provider, model)
    if kind is EntityType.USER:
        tenant, application, user = parts
        return _entity(kind, (tenant, application, user), tenant, application, user=user)
    if kind is EntityType.APPLICATION:
        tenant, application = parts
        return _entity(kind, (tenant, application), tenant, application)
    if kind is EntityType.TENANT_PROVIDER:
        tenant, provider = parts
        return _entity(kind, (tenant, provider), tenant, provider=provider)
    return _entity(kind, (key,), provider=key)


def _entity(
    kind: EntityType,
    parts: tuple[str, ...],
    tenant: str = "",
    application: str = "",
    provider: str = "",
    model: str = "",
    user: str = "",
) -> Entity:
    return Entity(
        type=kind,
        id="/".join((kind.value, *(quote(part, safe="") for part in parts))),
        name=" / ".join(parts),
        tenant_id=tenant,
        application_id=application,
        provider=provider,
        model=model,
        user_id=user,
    )
