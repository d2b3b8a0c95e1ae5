"""Whether a route keeps its notices back at an instant."""

from collections.abc import Mapping

from msgspec import Struct

from udfs.alerting.decision import DecisionReason
from udfs.alerting.interval import TimeInterval
from udfs.alerting.route import Route


class Mute(Struct, frozen=True):
    """What keeps the notices of a route back."""

    reason: DecisionReason
    intervals: str
    """The interval that holds, or those none of which does."""


def mute_of(route: Route, intervals: Mapping[str, tuple[TimeInterval, ...]], at_ms: int) -> Mute | None:
    """Return why a route is mute at an instant, or None if it speaks."""

    def holds(name: str) -> bool:
        return any(part.holds(at_ms) for part in intervals[name])

    if route.active_intervals and not any(map(holds, route.active_intervals)):
        return Mute(DecisionReason.OUTSIDE_ACTIVE_INTERVALS, ", ".join(route.active_intervals))
    for name in route.mute_intervals:
        if holds(name):
            return Mute(DecisionReason.MUTED_BY_INTERVAL, name)
    return None
