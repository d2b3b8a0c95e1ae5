"""The state of dispatch as records, and a state restored from them."""

from collections.abc import Iterable

from msgspec import Struct, msgpack
from msgspec.structs import replace

from udfs.alerting.arrival import form_groups
from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.notices import log_key, place_of
from udfs.alerting.notification_log import LogEntry
from udfs.alerting.records import AlertRecord, ClockRecord, Pending, Record
from udfs.alerting.settings import DispatchSettings
from udfs.alerting.silence import Silence


def restored(settings: DispatchSettings, now_ms: int, records: Iterable[Record]) -> DispatchState:
    """Return the state that the records tell of; under other settings than theirs its groups are formed anew."""
    records = tuple(records)
    state = DispatchState(settings, now_ms, records)
    by_kind: dict[str, list[tuple[str, bytes]]] = {}
    for kind, key, value in records:
        if value is not None:
            by_kind.setdefault(kind, []).append((key, value))
    members: dict[str, tuple[str, ...]] = {}
    for key, value in by_kind.get("alert", ()):
        record = msgpack.decode(value, type=AlertRecord)
        state.alerts[key] = record.alert
        members[key] = record.groups
        state.inhibition.learn(key, record.alert)
    for _, value in by_kind.get("silence", ()):
        state.silences.put(msgpack.decode(value, type=Silence))
    for key, value in by_kind.get("log", ()):
        state.notices.log[place_of(key)] = msgpack.decode(value, type=LogEntry)
    for _, value in by_kind.get("pending", ()):
        state.notices.restore(msgpack.decode(value, type=Pending))
    digest = state.clock.settings_digest
    for _, value in by_kind.get("clock", ()):
        state.clock = msgpack.decode(value, type=ClockRecord)
    if by_kind.get("group") and state.clock.settings_digest == digest:
        state.groups.restore(by_kind["group"], members)
    else:
        state.clock = replace(state.clock, settings_digest=digest)
        form_groups(state, {each: list(groups) for each, groups in members.items() if groups}, now_ms)
        for key, _ in by_kind.get("group", ()):
            state.changed["group", key] = None
    return state


def take_changes(state: DispatchState) -> list[Record]:
    """Return the records that have changed since the last call."""
    changed = list(state.changed)
    state.changed.clear()
    return [
        *(Record(kind, key, _value(state, kind, key)) for kind, key in changed),
        *state.escalations.take_changes(),
        *state.throttling.take_changes(),
        *state.storms.take_changes(),
    ]


def all_records(state: DispatchState) -> list[Record]:
    """Return all records, enough to go on from."""
    keys = [("clock", "")]
    keys += [("alert", each) for each in state.alerts]
    keys += [("group", each) for each in state.groups.by_id]
    keys += [("log", log_key(*each)) for each in state.notices.log]
    keys += [("pending", each) for each in state.notices.pending]
    keys += [("silence", each) for each in state.silences.by_id]
    return [
        *(Record(kind, key, _value(state, kind, key)) for kind, key in keys),
        *state.escalations.records(),
        *state.throttling.records(),
        *state.storms.records(),
    ]


def _value(state: DispatchState, kind: str, key: str) -> bytes | None:
    value: Struct | None
    if kind == "alert":
        value = _alert_record(state, key)
    elif kind == "group":
        value = state.groups.record(key)
    elif kind == "log":
        value = state.notices.log.get(place_of(key))
    elif kind == "pending":
        value = state.notices.pending.get(key)
    elif kind == "silence":
        value = state.silences.by_id.get(key)
    else:
        value = state.clock
    return None if value is None else msgpack.encode(value)


def _alert_record(state: DispatchState, identity: str) -> AlertRecord | None:
    alert = state.alerts.get(identity)
    if alert is None:
        return None
    groups = (each for each in state.groups.meant(identity, alert) if identity in each.members)
    return AlertRecord(alert, tuple(group.group_id for group in groups))
