"""Forgetting: groups that stay empty, and alerts, log entries and silences that nobody needs any more."""

from msgspec.structs import replace

from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.group import chain_name
from udfs.alerting.view import nobody

CLEAN_UP_EVERY_MS = 30_000
"""A group that is empty when this is over is forgotten, and its next alert waits for the group wait again."""
COLLECT_EVERY_MS = 1_800_000
"""How often alerts that have ended, and of which nothing is left to tell, are forgotten."""


def forget(state: DispatchState, now_ms: int) -> None:
    """Forget what is to be forgotten by now."""
    last_clean_up = now_ms - (now_ms - state.clock.started_at_ms) % CLEAN_UP_EVERY_MS
    for group in [each for each in state.groups.empty.values() if (each.emptied_at_ms or 0) <= last_clean_up]:
        state.groups.remove(group)
        name = chain_name(group)
        if name in state.escalations.running and not state.groups.of_chain(name):
            state.escalations.look(name, nobody(name), now_ms)
    if now_ms - state.clock.collected_at_ms >= COLLECT_EVERY_MS:
        _collect(state, now_ms)


def _collect(state: DispatchState, now_ms: int) -> None:
    state.put_clock(replace(state.clock, collected_at_ms=now_ms))
    for identity, alert in [each for each in state.alerts.items() if each[1].is_resolved(now_ms)]:
        # After a restart the groups are known, and the places of an alert only once they are asked for.
        if not any(identity in group.members for group in state.groups.meant(identity, alert)):
            del state.alerts[identity]
            state.groups.forget(identity)
            state.silences.forget(identity)
            state.changed["alert", identity] = None
    log = state.notices.log
    for place in [each for each, entry in log.items() if entry.expires_at_ms <= now_ms]:
        if place[0] not in state.groups.by_key:
            state.notices.forget_log(place)
    for silence_id in state.silences.collect(now_ms):
        state.changed["silence", silence_id] = None
