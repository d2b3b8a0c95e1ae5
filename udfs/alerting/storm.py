"""Storm control: when a tenant opens too many groups in a minute, one alert stands for them until it is calm."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct, msgpack
from msgspec.structs import replace

from schemas.alert import AlertDuration
from udfs.alerting.alert import Alert
from udfs.alerting.records import Record
from udfs.alerting.wall_clock import duration_ms

STORM: Final = "storm"
"""Kind of the records, by tenant after an `=`."""
ALERT_NAME: Final = "AlertStorm"
_MINUTE_MS: Final = 60_000
_CONTRIBUTORS_COUNTED: Final = 1_000
_CONTRIBUTORS_NAMED: Final = 5
_OPEN_MS: Final = 365 * 86_400_000


class StormLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many groups may open in a minute; the ones beyond it wait until that has not been so for `calm`."""

    groups: Annotated[int, Meta(ge=1, le=100_000)]
    calm: AlertDuration = "5m"


class StormLimits(Struct, frozen=True, kw_only=True):
    """The limit of each tenant; alerts without a tenant are the operators', the empty tenant's."""

    tenants: Mapping[str, StormLimit] = {}
    each: StormLimit | None = None
    """Of tenants that have no limit of their own."""


class Storm(Struct, frozen=True, array_like=True):
    """Groups of one tenant that opened; about 100 bytes for each that is held."""

    opened: tuple[int, ...] = ()
    """When the last ones did, as many as may in a minute and one more."""
    alert: Alert | None = None
    """The alert that stands for all; None is calm."""
    over_ms: int = 0
    """When there were last too many."""
    ended_ms: int = 0
    held: dict[str, int] = {}
    """Groups that wait, by name, with their place in the order in which they are let go."""
    counts: dict[str, int] = {}
    """How many of the held groups have a label, as `application_id=shop`."""
    told_ms: int = 0
    """When the alert last said how many there are."""


class Storms:
    """The storms of all tenants."""

    def __init__(self, limits: StormLimits, records: Iterable[Record] = ()) -> None:
        """Go on from records."""
        self.limits = limits
        self.by_tenant: dict[str, Storm] = {}
        self._tenant_of: dict[str, str] = {}
        self._changed: dict[str, None] = {}
        for kind, key, value in records:
            if kind == STORM and value is not None:
                storm = self.by_tenant[key[1:]] = msgpack.decode(value, type=Storm)
                self._tenant_of |= dict.fromkeys(storm.held, key[1:])

    @property
    def is_idle(self) -> bool:
        """Return whether there is no limit at all."""
        return self.limits.each is None and not self.limits.tenants

    def opened(self, tenant_id: str, name: str, labels: dict[str, str], now_ms: int) -> None:
        """Take note that a group of a tenant has opened; the labels are what its alerts have in common."""
        limit = self._limit(tenant_id)
        if limit is None:
            return
        storm = self.by_tenant.get(tenant_id, Storm())
        opened = (*storm.opened, now_ms)[-limit.groups - 1 :]
        is_over = len(opened) > limit.groups and now_ms - opened[0] < _MINUTE_MS
        storm = replace(storm, opened=opened, over_ms=now_ms if is_over else storm.over_ms)
        if is_over and storm.alert is None:
            storm = replace(storm, alert=_alert(tenant_id, now_ms), told_ms=0)
        if storm.alert is not None:
            counts = dict(storm.counts)
            for pair in (f"{label}={value}" for label, value in labels.items() if label != "tenant_id"):
                if pair in counts or len(counts) < _CONTRIBUTORS_COUNTED:
                    counts[pair] = counts.get(pair, 0) + 1
            storm = replace(storm, held={**storm.held, name: len(storm.held)}, counts=counts)
            self._tenant_of[name] = tenant_id
        self._keep(tenant_id, storm)

    def holds(self, name: str, now_ms: int) -> bool:
        """Return whether a group has to wait: for the calm, and then for its turn, as many a minute as may open."""
        tenant_id = self._tenant_of.get(name)
        if tenant_id is None:
            return False
        storm, limit = self.by_tenant[tenant_id], self._limit(tenant_id)
        if limit is None:
            return False
        return storm.alert is not None or now_ms < storm.ended_ms + storm.held[name] // limit.groups * _MINUTE_MS

    def advance(self, now_ms: int) -> list[Alert]:
        """Return the alerts of storms that begin, go on or end, the number of groups in them."""
        found = []
        for tenant_id, storm in list(self.by_tenant.items()):
            limit = self._limit(tenant_id)
            if storm.alert is None:
                if not storm.held and (not storm.opened or now_ms - storm.opened[-1] >= _MINUTE_MS):
                    self._keep(tenant_id, None)
                elif storm.held and (limit is None or now_ms >= _all_free_ms(storm, limit)):
                    self._let_go(tenant_id, storm)
                continue
            if limit is None or now_ms >= storm.over_ms + duration_ms(limit.calm):
                found.append(replace(_told(storm, now_ms), ends_at_ms=now_ms))
                self._keep(tenant_id, replace(storm, alert=None, ended_ms=now_ms, counts={}))
            elif now_ms - storm.told_ms >= _MINUTE_MS and f"{len(storm.held)} " not in _summary(storm.alert):
                found.append(alert := _told(storm, now_ms))
                self._keep(tenant_id, replace(storm, alert=alert, told_ms=now_ms))
        return found

    @property
    def next_at_ms(self) -> int | None:
        """When `advance` has something to do next."""
        times = []
        for tenant_id, storm in self.by_tenant.items():
            limit = self._limit(tenant_id)
            if storm.alert is not None and limit is not None:
                times.append(storm.over_ms + duration_ms(limit.calm))
                if f"{len(storm.held)} " not in _summary(storm.alert):
                    times.append(storm.told_ms + _MINUTE_MS)
        return min(times, default=None)

    def take_changes(self) -> list[Record]:
        """Return what has changed since this was last asked, to be kept."""
        changed, self._changed = self._changed, {}
        return [Record(STORM, f"={tenant_id}", self._bytes(tenant_id)) for tenant_id in changed]

    def records(self) -> list[Record]:
        """Return all that is kept."""
        return [Record(STORM, f"={tenant_id}", self._bytes(tenant_id)) for tenant_id in self.by_tenant]

    def _bytes(self, tenant_id: str) -> bytes | None:
        storm = self.by_tenant.get(tenant_id)
        return None if storm is None else msgpack.encode(storm)

    def _limit(self, tenant_id: str) -> StormLimit | None:
        return self.limits.tenants.get(tenant_id, self.limits.each)

    def _keep(self, tenant_id: str, storm: Storm | None) -> None:
        if storm is None:
            del self.by_tenant[tenant_id]
        else:
            self.by_tenant[tenant_id] = storm
        self._changed[tenant_id] = None

    def _let_go(self, tenant_id: str, storm: Storm) -> None:
        for name in storm.held:
            del self._tenant_of[name]
        self._keep(tenant_id, replace(storm, held={}))


def _all_free_ms(storm: Storm, limit: StormLimit) -> int:
    return storm.ended_ms + len(storm.held) // limit.groups * _MINUTE_MS


def _alert(tenant_id: str, now_ms: int) -> Alert:
    labels = {"alertname": ALERT_NAME, "severity": "critical", "sentinel_source": "dispatch"}
    if tenant_id:
        labels["tenant_id"] = tenant_id
    return Alert(labels=labels, starts_at_ms=now_ms, updated_at_ms=now_ms, ends_at_ms=now_ms + _OPEN_MS)


def _told(storm: Storm, now_ms: int) -> Alert:
    """Return the alert with the number of groups and what most of them have in common."""
    alert = storm.alert or _alert("", now_ms)
    ranked = sorted(storm.counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_CONTRIBUTORS_NAMED]
    number = len(storm.held)
    return replace(
        alert,
        updated_at_ms=now_ms,
        annotations={
            "summary": f"{number} groups of alerts wait: more opened in a minute than may",
            "contributors": ", ".join(f"{pair} {count / number:.0%}" for pair, count in ranked),
            "what_to_do": "Look for what most of them have in common; what still fires is told of when it is calm.",
        },
    )


def _summary(alert: Alert) -> str:
    return alert.annotations.get("summary", "")
