"""The native configuration of dispatch as it is written: what Alertmanager's file has no words for."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from schemas.alert import AlertDefinition
from schemas.json_schema import schema_of
from udfs.alerting.escalation_chain import Chain, Person
from udfs.alerting.maintenance import MaintenanceWindow
from udfs.alerting.on_call_schedule import Name, OnCallSchedule
from udfs.alerting.storm import StormLimit
from udfs.alerting.throttle import Rate

Matchers = tuple[Annotated[str, Meta(min_length=1)], ...]
"""As in an Alertmanager route, `severity="critical"` or `team=~"a|b"`; an alert has to fulfil all of them."""


class EscalationSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which groups go through a chain; of the list the first that applies counts, and a group goes through one."""

    chain: Name
    matchers: Matchers = ()
    """At least one alert of the group fulfils all of them; without any, every group does."""
    receiver: Name | None = None
    """Only groups that are routed to this receiver."""


class ThrottleSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many notices may go out; what is held back comes with the group's next turn, and is summed up."""

    receivers: dict[Name, Rate] = {}
    each_tenant: Rate | None = None
    """Of all notices about one tenant's alerts; in a tenant's tree, about its own."""


class TreeSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides about the alerts of one tenant, or of the operators; names hold within it alone."""

    alertmanager: str | dict[str, object]
    """Routes, receivers, inhibition and intervals: the name of an `alertmanager.yml`, from the folder of this file, or
    what stands in one."""
    people: dict[Name, Person] = {}
    schedules: dict[Name, OnCallSchedule] = {}
    chains: dict[Name, Chain] = {}
    escalations: tuple[EscalationSection, ...] = ()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    throttles: ThrottleSection = ThrottleSection()
    storm: StormLimit | None = None
    """Of each tenant without a tree, and of alerts without a tenant; in a tenant's tree, its own."""
    definitions: tuple[AlertDefinition, ...] = ()
    """Alerts of anomalies and summaries that are made here; a tenant's are about its own."""


class NativeSection(TreeSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file: the operators' tree, which also has the alerts of every tenant without a tree of its own."""

    tenants: dict[Name, TreeSection] = {}
    """Trees of tenants, by the value of the label `tenant_id`."""


def native_schema() -> dict[str, Any]:
    """Return the JSON Schema of the native configuration file."""
    return schema_of(NativeSection, "dispatch-configuration")
