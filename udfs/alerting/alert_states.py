"""Where each alert stands, and the changes of it that are published."""

from collections.abc import Iterable
from hashlib import sha256
from heapq import heappop, heappush

from msgspec import Struct, msgpack

from schemas.alert_change import AlertChange, AlertState
from schemas.time import from_at_ms
from udfs.alerting.alert import Alert
from udfs.alerting.records import Record

STANDING = "standing"
"""Kind of the records, by fingerprint."""


class Standing(Struct, frozen=True, array_like=True):
    """Where an alert stands, and whose doing that is."""

    state: AlertState
    by: str = ""


class AlertStates:
    """The standing of every alert that was published; a change of one is a record, too."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.by_fingerprint: dict[str, Standing] = {}
        self._ends: list[tuple[int, str]] = []
        self._changed: dict[str, None] = {}
        for kind, key, value in records:
            if kind == STANDING and value is not None:
                self.by_fingerprint[key] = _STANDING.decode(value)

    def expect_end(self, fingerprint: str, alert: Alert) -> None:
        """Remember when the alert ends, unless something more is heard of it."""
        if alert.ends_at_ms is not None:
            heappush(self._ends, (alert.ends_at_ms, fingerprint))

    def next_at_ms(self) -> int | None:
        """Return when an alert may end next."""
        return self._ends[0][0] if self._ends else None

    def ended(self, now_ms: int) -> list[str]:
        """Return the alerts whose end may have come; each is told once."""
        found = []
        while self._ends and self._ends[0][0] <= now_ms:
            found.append(heappop(self._ends)[1])
        return found

    def change(self, fingerprint: str, alert: Alert, standing: Standing, now_ms: int) -> AlertChange | None:
        """Take a standing in, and return the change if it is another than before.

        An alert that had ended before it was ever seen to fire is no change.
        """
        before = self.by_fingerprint.get(fingerprint)
        if before == standing or (before is None and standing.state is AlertState.RESOLVED):
            return None
        self.by_fingerprint[fingerprint] = standing
        self._changed[fingerprint] = None
        identity = "\xff".join((fingerprint, standing.state, standing.by, str(now_ms)))
        ends_at_ms = alert.ends_at_ms if standing.state is AlertState.RESOLVED or not alert.times_out else None
        return AlertChange(
            change_id=sha256(identity.encode()).hexdigest()[:32],
            fingerprint=fingerprint,
            state=standing.state,
            previous=before.state if before else None,
            at=from_at_ms(now_ms),
            by=standing.by,
            tenant_id=alert.labels.get("tenant_id"),
            labels=alert.labels,
            annotations=alert.annotations,
            starts_at=from_at_ms(alert.starts_at_ms),
            ends_at=None if ends_at_ms is None else from_at_ms(ends_at_ms),
            generator_url=alert.generator_url,
        )

    def forget(self, fingerprint: str) -> None:
        """Forget an alert that is gone."""
        if self.by_fingerprint.pop(fingerprint, None) is not None:
            self._changed[fingerprint] = None

    def take_changes(self) -> list[Record]:
        """Return the records that have changed since the last call."""
        changed, self._changed = self._changed, {}
        return [Record(STANDING, each, self._value(each)) for each in changed]

    def _value(self, fingerprint: str) -> bytes | None:
        standing = self.by_fingerprint.get(fingerprint)
        return None if standing is None else msgpack.encode(standing)


_STANDING = msgpack.Decoder(Standing)
