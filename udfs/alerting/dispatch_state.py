"""The state of dispatch: all that the rules of dispatch read and change, and which records of it have changed."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec
from msgspec.structs import replace

from udfs.alerting.alert import Alert
from udfs.alerting.escalations import Escalations
from udfs.alerting.groups import Groups
from udfs.alerting.inhibition import Inhibition
from udfs.alerting.notices import Notices
from udfs.alerting.records import Changed, ClockRecord, Record
from udfs.alerting.settings import DispatchSettings
from udfs.alerting.silence import Silence, Silences
from udfs.alerting.storm import Storms
from udfs.alerting.throttle import Throttling


class DispatchState:
    """Alerts, silences, groups, notices, chains, throttles and storms under one configuration."""

    def __init__(self, settings: DispatchSettings, now_ms: int, records: Iterable[Record] = ()) -> None:
        """Begin at an instant; of the records, the chains, throttles and storms take theirs."""
        records = tuple(records)
        self.changed: Changed = {}
        self.alerts: dict[str, Alert] = {}
        """By fingerprint, each with an end."""
        self.silences = Silences()
        self.notices = Notices(self.changed)
        self.escalations = Escalations(settings.escalation, records)
        self.throttling = Throttling(settings.throttles, records)
        self.storms = Storms(settings.storms, records)
        self.clock = ClockRecord(now_ms, now_ms, "")
        self.take_settings(settings)

    def take_settings(self, settings: DispatchSettings) -> None:
        """Go on under settings, without groups."""
        self.settings = settings
        self.escalations.settings = settings.escalation
        self.throttling.throttles = settings.throttles
        self.storms.limits = settings.storms
        # At the first chance: a window may have opened, or be no more.
        self.calendar_at_ms = 0
        """When a maintenance window opens or closes next."""
        self.groups = Groups(settings.route, self.changed)
        self.inhibition = Inhibition(settings.inhibit_rules)
        for identity, alert in self.alerts.items():
            self.inhibition.learn(identity, alert)
        digest = sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()
        self.put_clock(replace(self.clock, settings_digest=digest))

    def put_clock(self, clock: ClockRecord) -> None:
        """Keep another clock."""
        self.clock = clock
        self.changed["clock", ""] = None

    def put_alert(self, identity: str, alert: Alert) -> None:
        """Keep an alert as it is now."""
        self.alerts[identity] = alert
        self.changed["alert", identity] = None
        self.inhibition.learn(identity, alert)

    def put_silence(self, silence: Silence) -> None:
        """Keep a silence as it is now."""
        self.silences.put(silence)
        self.changed["silence", silence.silence_id] = None

    def resolved(self, members: Iterable[str], now_ms: int) -> set[str]:
        """Return which of the alerts are over."""
        return {each for each in members if self.alerts[each].is_resolved(now_ms)}
