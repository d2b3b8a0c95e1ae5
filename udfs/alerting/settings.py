"""What dispatch goes by: the decided form of a configuration, every default filled in."""

from msgspec import Struct

from udfs.alerting.calendar_silences import Maintenance
from udfs.alerting.escalations import EscalationSettings
from udfs.alerting.inhibition import InhibitRule
from udfs.alerting.interval import TimeInterval
from udfs.alerting.route import Route
from udfs.alerting.storm import StormLimits
from udfs.alerting.throttle import Throttles

RESOLVE_TIMEOUT_MS = 300_000


class Channel(Struct, frozen=True):
    """One way to reach a receiver."""

    name: str
    """Kind and position, as `slack[0]`."""
    send_resolved: bool


class DispatchSettings(Struct, frozen=True, kw_only=True):
    """Everything that decides who is told what and when."""

    route: Route
    receivers: dict[str, tuple[Channel, ...]]
    inhibit_rules: tuple[InhibitRule, ...] = ()
    intervals: dict[str, tuple[TimeInterval, ...]] = {}
    """By name; each holds when one of its parts does."""
    resolve_timeout_ms: int = RESOLVE_TIMEOUT_MS
    external_url: str = ""
    escalation: EscalationSettings = EscalationSettings()
    maintenance: tuple[Maintenance, ...] = ()
    throttles: Throttles = Throttles()
    storms: StormLimits = StormLimits()
