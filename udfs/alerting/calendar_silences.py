"""Calendar silences: each maintenance window that is open is a silence, made and ended by the calendar."""

from typing import Final

from msgspec import Struct

from udfs.alerting.maintenance import MaintenanceWindow, ends_at_ms, next_start_at_ms
from udfs.alerting.matcher import Matcher
from udfs.alerting.silence import Silence, SilenceState
from udfs.identity import digest

MADE_BY: Final = "maintenance"
"""Who has made the silences of windows."""


class Maintenance(Struct, frozen=True, kw_only=True):
    """A maintenance window and the alerts it is about."""

    window: MaintenanceWindow
    matchers: tuple[Matcher, ...]


def open_silences(calendar: tuple[Maintenance, ...], now_ms: int) -> list[Silence]:
    """Return the silences of the windows that are open now."""
    found = []
    for each in calendar:
        end_at_ms = ends_at_ms(each.window, now_ms)
        if end_at_ms is not None:
            name = each.window.name
            found.append(
                Silence(
                    silence_id=digest(MADE_BY, name, str(end_at_ms)),
                    matcher_sets=(each.matchers,),
                    starts_at_ms=now_ms,
                    ends_at_ms=end_at_ms,
                    updated_at_ms=now_ms,
                    created_by=MADE_BY,
                    comment=f"{name}: {each.window.comment}" if each.window.comment else name,
                )
            )
    return found


def outdated(silences: dict[str, Silence], now_open: list[Silence], now_ms: int) -> list[Silence]:
    """Return the silences of windows that are active, but that the calendar does not have any more."""
    wanted = {silence.silence_id for silence in now_open}
    return [
        silence
        for silence in silences.values()
        if silence.created_by == MADE_BY
        and silence.silence_id not in wanted
        and silence.state(now_ms) is SilenceState.ACTIVE
    ]


def next_change_at_ms(calendar: tuple[Maintenance, ...], now_ms: int) -> int | None:
    """Return when a window opens or closes next, None if none does."""
    times = [
        time for each in calendar for time in (next_start_at_ms(each.window, now_ms), ends_at_ms(each.window, now_ms))
    ]
    return min((time for time in times if time is not None), default=None)
