"""Notice: what a tenant's correlation is told of an incident of a provider over all tenants."""

from msgspec import Struct


class OperatorNotice(Struct, frozen=True, kw_only=True, tag_field="kind", tag="operator-incident"):
    """One operator incident as one tenant may know it: that it is there and when, nothing of anybody else.

    It is sent to every tenant with anomalies on the provider at that time, when the incident opens and when it closes,
    keyed by `tenant_id`. Repeats change nothing.
    """

    tenant_id: str
    provider: str
    incident_id: str
    opened_at_ms: int
    until_ms: int
    """When it closed; for an open one, when it will close at the latest."""
