"""Correlation of one provider over all tenants: an incident for operators, and notices for the tenants it hits."""

from msgspec import Struct, json, msgpack
from msgspec.structs import replace

from schemas.anomaly import Anomaly, EntityType
from schemas.incident import Incident, IncidentStatus
from schemas.time import to_at_ms
from udfs.correlation.casebook import TICK_MS, next_wake
from udfs.correlation.notice import OperatorNotice
from udfs.correlation.settings import CorrelationSettings
from udfs.correlation.state import CorrelationState, versioned, without_version
from udfs.correlation.tenant import Correlation, Output, encoded
from udfs.correlation.witness import instant_of
from udfs.keyed_logic import Step

PROVIDER_STATE_VERSION = 1
MAX_TENANTS = 4096
KEEP_MS = 900_000
FRESH_MS = 30_000
"""A tenant's last anomaly is noted this coarsely, so that most of them change nothing."""


class Tenant(Struct, frozen=True, array_like=True):
    """A tenant with anomalies on the provider: when the last one was, and whether it knows of the present incident."""

    last_at_ms: int
    is_told: bool = False


class ProviderState(Struct, frozen=True, array_like=True):
    """Everything one provider's correlation remembers: below 300 kB, 4,096 tenants included."""

    provider: str
    correlation: CorrelationState | None = None
    tenants: dict[str, Tenant] = {}
    """By tenant id, least recently in trouble first."""
    incident: tuple[str, int, int] | None = None
    """The open incident: its id, when it opened, when it will close at the latest."""


DECODER = msgpack.Decoder(ProviderState)
ANOMALY = json.Decoder(Anomaly)


class ProviderCorrelation(Struct, frozen=True):
    """Keyed logic, keyed by provider: all anomalies that name the provider in; operators' incidents and notices out.

    Anomalies of the provider as a whole (`EntityType.PROVIDER`, no tenant) are forwarded once and become incidents
    without a tenant. Of tenants' anomalies it notes only that the tenant has trouble, to tell it of an incident; their
    own correlation forwards them. A tenant is told once when the incident opens, or at its first anomaly while it is
    open, and once when it closes.
    """

    settings: CorrelationSettings = CorrelationSettings()

    @property
    def state_version(self) -> int:
        """Version of the state's bytes."""
        return PROVIDER_STATE_VERSION

    @property
    def correlation(self) -> Correlation:
        """The logic that turns the provider's own anomalies into incidents."""
        return Correlation(self.settings)

    def encode(self, state: ProviderState) -> bytes:
        """Return the state's bytes: the version, then MessagePack."""
        return versioned(PROVIDER_STATE_VERSION, state)

    def decode(self, data: bytes) -> ProviderState:
        """Return the state in bytes; raises ValueError if this release cannot read them."""
        return DECODER.decode(without_version(PROVIDER_STATE_VERSION, data))

    def decode_item(self, data: bytes) -> Anomaly:
        """Return the anomaly in JSON bytes; raises msgspec.DecodeError, a ValueError, for anything else."""
        return ANOMALY.decode(data)

    def encode_output(self, output: Output) -> tuple[str, str, bytes]:
        """Return the stream, `anomalies`, `incidents` or `notices`, the key and the JSON bytes of an output."""
        return encoded(output)

    def on_item(self, state: ProviderState | None, item: Anomaly) -> Step[ProviderState, Output]:
        """Return the step after an anomaly of the provider or of a tenant on it.

        Raises ValueError, naming the anomaly, if one of its times is no RFC 3339 text.
        """
        given = state or ProviderState(item.affected_entity.provider)
        if item.affected_entity.type is not EntityType.PROVIDER:
            return self.after_tenant(given, item)
        return self.step(*self.heard(given, self.correlation.on_item(given.correlation, item)))

    def on_wake(self, state: ProviderState, at_ms: int) -> Step[ProviderState, Output]:
        """Return the step at an event time: incidents closed and their tenants told, the old forgotten."""
        wake_at_ms = self.next_wake(state)
        if wake_at_ms is None or at_ms < wake_at_ms:
            return Step(state, (), wake_at_ms)
        outputs: tuple[Output, ...] = ()
        if state.correlation is not None:
            state, outputs = self.heard(state, self.correlation.on_wake(state.correlation, at_ms))
        kept = {name: each for name, each in state.tenants.items() if each.is_told or each.last_at_ms + KEEP_MS > at_ms}
        return self.step(replace(state, tenants=kept), outputs)

    def after_tenant(self, state: ProviderState, anomaly: Anomaly) -> Step[ProviderState, Output]:
        """Return the step after a tenant's anomaly: it is told of an open incident that it does not know yet."""
        name = anomaly.tenant_id
        if not name:
            return self.step(state, ())
        at_ms = instant_of(anomaly)
        known = state.tenants.get(name, Tenant(at_ms - FRESH_MS))
        outputs: tuple[Output, ...] = ()
        tenant = known if at_ms < known.last_at_ms + FRESH_MS else replace(known, last_at_ms=at_ms)
        if state.incident is not None and not known.is_told and at_ms >= state.incident[1] - self.settings.window_ms:
            outputs = (notice_of(state, name),)
            tenant = replace(tenant, is_told=True)
        if tenant is known:
            return self.step(state, ())
        others = {each: mark for each, mark in state.tenants.items() if each != name}
        if len(others) == MAX_TENANTS:
            del others[next(iter(others))]
        return self.step(replace(state, tenants={**others, name: tenant}), outputs)

    def heard(
        self, state: ProviderState, step: Step[CorrelationState, Output]
    ) -> tuple[ProviderState, tuple[Output, ...]]:
        """Return the state after a step of the provider's own correlation, and its outputs with the notices due."""
        state = replace(state, correlation=step.state)
        outputs = list(step.outputs)
        for incident in step.outputs:
            if not isinstance(incident, Incident):
                continue
            if incident.status is IncidentStatus.OPEN and incident.revision == 1 and step.state is not None:
                opened_ms = to_at_ms(incident.opened_at)
                limit_ms = step.state.incidents[incident.incident_id].limit_at_ms
                state = replace(state, incident=(incident.incident_id, opened_ms, limit_ms))
                since_ms = opened_ms - self.settings.window_ms
                hit = [each for each, mark in state.tenants.items() if mark.last_at_ms >= since_ms]
                state, notices = told(state, hit)
                outputs += notices
            elif incident.closed_at and state.incident is not None and incident.incident_id == state.incident[0]:
                state = replace(state, incident=(*state.incident[:2], to_at_ms(incident.closed_at)))
                outputs += [notice_of(state, each) for each, mark in state.tenants.items() if mark.is_told]
                quiet = {each: replace(mark, is_told=False) for each, mark in state.tenants.items()}
                state = replace(state, incident=None, tenants=quiet)
        return state, tuple(outputs)

    def step(self, state: ProviderState, outputs: tuple[Output, ...]) -> Step[ProviderState, Output]:
        """Return a step to a state, None if it holds nothing, with its wake-up."""
        wake_at_ms = self.next_wake(state)
        return Step(None if wake_at_ms is None else state, outputs, wake_at_ms)

    def next_wake(self, state: ProviderState) -> int | None:
        """Return when the state wants to be woken, None if there is nothing in it to wait for."""
        dues = [mark.last_at_ms + KEEP_MS for mark in state.tenants.values() if not mark.is_told]
        wake_at_ms = None if state.correlation is None else next_wake(state.correlation)
        if dues:
            oldest_ms = -(-min(dues) // TICK_MS) * TICK_MS
            return oldest_ms if wake_at_ms is None else min(oldest_ms, wake_at_ms)
        return wake_at_ms


def notice_of(state: ProviderState, tenant_id: str) -> OperatorNotice:
    """Return the notice of the state's incident for one tenant."""
    if state.incident is None:
        raise ValueError(f"provider {state.provider} has no incident to tell tenants of")
    identifier, opened_ms, until_ms = state.incident
    return OperatorNotice(
        tenant_id=tenant_id,
        provider=state.provider,
        incident_id=identifier,
        opened_at_ms=opened_ms,
        until_ms=until_ms,
    )


def told(state: ProviderState, tenant_ids: list[str]) -> tuple[ProviderState, list[OperatorNotice]]:
    """Return the state in which exactly some tenants know of its incident, and the notices that tell them."""
    chosen = set(tenant_ids)
    tenants = {name: replace(mark, is_told=name in chosen) for name, mark in state.tenants.items()}
    return replace(state, tenants=tenants), [notice_of(state, name) for name in tenant_ids]
