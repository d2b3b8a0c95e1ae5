"""Silencing: silences as people ask for them, and as the calendar of maintenance makes and ends them."""

from msgspec.structs import replace

from udfs.alerting import silence as silence_rules
from udfs.alerting.calendar_silences import next_change_at_ms, open_silences, outdated
from udfs.alerting.dispatch_state import DispatchState
from udfs.alerting.escalation import NEVER_MS
from udfs.alerting.silence import Silence


def put_silence(state: DispatchState, wanted: Silence, now_ms: int) -> str:
    """Add or change a silence and return its identifier.

    A silence whose identifier is known is changed in place if that leaves the past as it was; otherwise ValueError
    says that it has to be ended and made anew. Raises ValueError, too, for one that means everything, has no matcher
    or is over.
    """
    wanted = silence_rules.normal(replace(wanted, updated_at_ms=now_ms))
    silence_rules.check(wanted)
    known = state.silences.by_id.get(wanted.silence_id)
    if known is None:
        wanted = replace(wanted, starts_at_ms=max(wanted.starts_at_ms, now_ms))
        if wanted.ends_at_ms < wanted.starts_at_ms:
            raise ValueError("the end of a silence is not in the past")
    elif not silence_rules.can_become(known, wanted, now_ms):
        raise ValueError(f"silence {known.silence_id} cannot be changed to this; end it and make another one")
    state.put_silence(wanted)
    return wanted.silence_id


def expire_silence(state: DispatchState, silence_id: str, now_ms: int) -> None:
    """End a silence now; one that has expired stays as it is. Raises KeyError if there is none."""
    known = state.silences.by_id[silence_id]
    if known.state(now_ms) is not silence_rules.SilenceState.EXPIRED:
        state.put_silence(silence_rules.expired(known, now_ms))


def keep_calendar(state: DispatchState, now_ms: int) -> None:
    """Make silences of the maintenance windows that have opened, and end those that are no more."""
    if now_ms < state.calendar_at_ms:
        return
    now_open = open_silences(state.settings.maintenance, now_ms)
    for silence in outdated(state.silences.by_id, now_open, now_ms):
        state.put_silence(silence_rules.expired(silence, now_ms))
    for silence in now_open:
        known = state.silences.by_id.get(silence.silence_id)
        # One that somebody has ended by hand stays ended.
        if known is None:
            state.put_silence(silence_rules.normal(silence))
    change_at_ms = next_change_at_ms(state.settings.maintenance, now_ms)
    state.calendar_at_ms = NEVER_MS if change_at_ms is None else change_at_ms
