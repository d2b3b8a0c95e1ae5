"""Correlation of one tenant: every anomaly is forwarded once, and related ones become incidents."""

from typing import TypeAlias

from msgspec import Struct, json

from schemas.anomaly import Anomaly
from schemas.incident import Incident
from udfs.correlation.casebook import Casebook, next_wake
from udfs.correlation.forwarded import contains, remembered
from udfs.correlation.notice import OperatorNotice
from udfs.correlation.opening import admit
from udfs.correlation.outage import heed
from udfs.correlation.settings import CorrelationSettings
from udfs.correlation.state import STATE_VERSION, CorrelationState, decode_state, encode_state
from udfs.correlation.witness import digest, witness_of
from udfs.keyed_logic import Step

ANOMALIES, INCIDENTS, NOTICES = "anomalies", "incidents", "notices"
"""Names of the output streams."""


class Forward(Struct, frozen=True):
    """An anomaly that goes on to its readers, unchanged."""

    anomaly: Anomaly


Output: TypeAlias = Forward | Incident | OperatorNotice


class Kind(Struct, frozen=True):
    """What tells a notice from an anomaly in JSON."""

    kind: str = ""


def encoded(output: Output) -> tuple[str, str, bytes]:
    """Return the stream an output belongs to, its Kafka key and its JSON bytes."""
    if isinstance(output, Forward):
        return ANOMALIES, output.anomaly.fingerprint or output.anomaly.anomaly_id, json.encode(output.anomaly)
    if isinstance(output, Incident):
        return INCIDENTS, output.incident_id, json.encode(output)
    return NOTICES, output.tenant_id, json.encode(output)


class Correlation(Struct, frozen=True):
    """Keyed logic, keyed by tenant: anomalies and operators' notices in; anomalies, once per id, and incidents out.

    Items may come late and in any order: each is judged by its own timestamp. The state is bounded
    (`CorrelationState`); the steps in which an incident grows may depend on the order of items, what is forwarded does
    not.
    """

    settings: CorrelationSettings = CorrelationSettings()

    @property
    def state_version(self) -> int:
        """Version of the state's bytes."""
        return STATE_VERSION

    def encode(self, state: CorrelationState) -> bytes:
        """Return the state's bytes."""
        return encode_state(state)

    def decode(self, data: bytes) -> CorrelationState:
        """Return the state in bytes; raises ValueError if this release cannot read them."""
        return decode_state(data)

    def decode_item(self, data: bytes) -> Anomaly | OperatorNotice:
        """Return the anomaly or notice in JSON bytes; raises msgspec.DecodeError, a ValueError, for anything else."""
        if json.decode(data, type=Kind).kind:
            return json.decode(data, type=OperatorNotice)
        return json.decode(data, type=Anomaly)

    def encode_output(self, output: Output) -> tuple[str, str, bytes]:
        """Return the stream, `anomalies` or `incidents`, the key and the JSON bytes of an output."""
        return encoded(output)

    def on_item(self, state: CorrelationState | None, item: Anomaly | OperatorNotice) -> Step[CorrelationState, Output]:
        """Return the step after an anomaly or a notice.

        Raises ValueError, naming the anomaly, if one of its times is no RFC 3339 text.
        """
        if isinstance(item, OperatorNotice):
            return self.after_notice(state or CorrelationState(), item)
        return self.after_anomaly(state or CorrelationState(), item)

    def after_anomaly(self, state: CorrelationState, anomaly: Anomaly) -> Step[CorrelationState, Output]:
        """Return the step after an anomaly: nothing if it was forwarded before."""
        identity = digest(anomaly.anomaly_id)
        if contains(state.forwarded, identity):
            return Step(state, (), next_wake(state))
        witness = witness_of(anomaly, self.settings.lone_event_score)
        book = Casebook(self.settings, state)
        book.tenant_id = anomaly.tenant_id
        book.forwarded = remembered(state.forwarded, identity, witness.last_at_ms)
        admit(book, witness)
        after, incidents, wake_at_ms = book.finish(witness.last_at_ms)
        return Step(after, (Forward(anomaly), *incidents), wake_at_ms)

    def after_notice(self, state: CorrelationState, notice: OperatorNotice) -> Step[CorrelationState, Output]:
        """Return the step after a notice: nothing if it was heard before."""
        if state.notices.get(notice.provider) == notice:
            return Step(state, (), next_wake(state))
        book = Casebook(self.settings, state)
        book.tenant_id = notice.tenant_id
        heed(book, notice)
        after, incidents, wake_at_ms = book.finish(notice.opened_at_ms)
        return Step(after, tuple(incidents), wake_at_ms)

    def on_wake(self, state: CorrelationState, at_ms: int) -> Step[CorrelationState, Output]:
        """Return the step at an event time: news put out, quiet incidents closed, the old forgotten."""
        wake_at_ms = next_wake(state)
        if wake_at_ms is None or at_ms < wake_at_ms:
            return Step(state, (), wake_at_ms)
        book = Casebook(self.settings, state)
        book.wake(at_ms)
        after, incidents, wake_at_ms = book.finish(at_ms)
        return Step(after, tuple(incidents), wake_at_ms)
