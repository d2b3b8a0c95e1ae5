"""Throttles: how many notices a receiver or a tenant may have in a while; what is held back is counted and told of."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct, msgpack

from schemas.alert import AlertDuration
from udfs.alerting.records import Record
from udfs.alerting.wall_clock import duration_ms

BUCKET: Final = "bucket"
"""Kind of the records of limits, by what is limited."""
HELD: Final = "held_back"
"""Kind of the records of what was held back, by receiver."""
GROUPS_NAMED: Final = 20
_BUCKETS_MAX: Final = 10_000


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many notices at once, and as many again in every `per`, evenly."""

    notices: Annotated[int, Meta(ge=1, le=1_000_000)]
    per: AlertDuration


def check_rate(rate: Rate) -> None:
    """Raise ValueError, naming the field, unless the rate is one."""
    try:
        length_ms = duration_ms(rate.per)
    except ValueError as error:
        raise ValueError(f"per: {error}") from None
    if length_ms == 0:
        raise ValueError("per: 0 is no time; write it as 1m")


class Throttles(Struct, frozen=True, kw_only=True):
    """The limits; a notice has to keep within that of its receiver and that of its tenant."""

    receivers: Mapping[str, Rate] = {}
    tenants: Mapping[str, Rate] = {}
    each_tenant: Rate | None = None
    """Of tenants that have no limit of their own; alerts without a tenant have none."""


class HeldBack(Struct, frozen=True, array_like=True):
    """What a receiver was not told of since it was last told how much that was."""

    since_ms: int
    due_ms: int
    """When it is told how much it was."""
    notices: int = 0
    groups: dict[str, int] = {}
    """Notices by group key, the first twenty groups."""
    others: int = 0
    """Notices about other groups."""


class Throttling:
    """What is left of each limit, and what was held back. A limit's state is one number (GCRA, ITU-T I.371)."""

    def __init__(self, throttles: Throttles, records: Iterable[Record] = ()) -> None:
        """Go on from records."""
        self.throttles = throttles
        self.held: dict[str, HeldBack] = {}
        self._free_at_us: dict[str, int] = {}
        self._changed: dict[tuple[str, str], None] = {}
        for kind, key, value in records:
            if kind == BUCKET and value is not None:
                self._free_at_us[key] = msgpack.decode(value, type=int)
            elif kind == HELD and value is not None:
                self.held[key] = msgpack.decode(value, type=HeldBack)

    @property
    def is_idle(self) -> bool:
        """Return whether there is no limit at all."""
        return not self.throttles.receivers and not self.throttles.tenants and self.throttles.each_tenant is None

    def admits(self, receiver: str, tenant_id: str, now_ms: int) -> bool:
        """Return whether a notice may go to a receiver now, and count it if so."""
        limits = self._limits(receiver, tenant_id)
        if not all(self._free_at_us.get(key, 0) <= now_ms * 1_000 + _slack_us(rate) for key, rate in limits):
            return False
        for key, rate in limits:
            self._free_at_us[key] = max(self._free_at_us.get(key, 0), now_ms * 1_000) + _apart_us(rate)
            self._changed[BUCKET, key] = None
        if len(self._free_at_us) > _BUCKETS_MAX:
            for key in [each for each, free_us in self._free_at_us.items() if free_us <= now_ms * 1_000]:
                del self._free_at_us[key]
                self._changed[BUCKET, key] = None
        return True

    def hold(self, receiver: str, tenant_id: str, group_key: str, now_ms: int) -> None:
        """Count a notice that may not go now."""
        longest_ms = max(duration_ms(rate.per) for _, rate in self._limits(receiver, tenant_id))
        known = self.held.get(receiver) or HeldBack(now_ms, now_ms + longest_ms)
        groups, others = dict(known.groups), known.others
        if group_key in groups or len(groups) < GROUPS_NAMED:
            groups[group_key] = groups.get(group_key, 0) + 1
        else:
            others += 1
        self.held[receiver] = HeldBack(known.since_ms, known.due_ms, known.notices + 1, groups, others)
        self._changed[HELD, receiver] = None

    def due(self, now_ms: int) -> list[tuple[str, HeldBack]]:
        """Return what receivers are to be told of what was held back, and begin to count anew."""
        found = sorted((receiver, held) for receiver, held in self.held.items() if held.due_ms <= now_ms)
        for receiver, _ in found:
            del self.held[receiver]
            self._changed[HELD, receiver] = None
        return found

    @property
    def next_at_ms(self) -> int | None:
        """When a receiver is next told of what was held back."""
        return min((held.due_ms for held in self.held.values()), default=None)

    def take_changes(self) -> list[Record]:
        """Return what has changed since this was last asked, to be kept."""
        changed, self._changed = self._changed, {}
        return [Record(kind, key, self._bytes(kind, key)) for kind, key in changed]

    def records(self) -> list[Record]:
        """Return all that is kept."""
        keys = [(BUCKET, key) for key in self._free_at_us] + [(HELD, key) for key in self.held]
        return [Record(kind, key, self._bytes(kind, key)) for kind, key in keys]

    def _bytes(self, kind: str, key: str) -> bytes | None:
        value = self._free_at_us.get(key) if kind == BUCKET else self.held.get(key)
        return None if value is None else msgpack.encode(value)

    def _limits(self, receiver: str, tenant_id: str) -> list[tuple[str, Rate]]:
        limits = []
        if (rate := self.throttles.receivers.get(receiver)) is not None:
            limits.append((f"receiver {receiver}", rate))
        own = self.throttles.tenants.get(tenant_id, self.throttles.each_tenant) if tenant_id else None
        if own is not None:
            limits.append((f"tenant {tenant_id}", own))
        return limits


def held_back_texts(held: HeldBack) -> tuple[str, str]:
    """Return what was held back in a sentence, and the groups it was about."""
    groups = len(held.groups) + (1 if held.others else 0)
    about = f"more than {len(held.groups)} groups" if held.others else f"{groups} group{'' if groups == 1 else 's'}"
    notices = f"{held.notices} notice{'' if held.notices == 1 else 's'}"
    named = [f"{count} about {key}" for key, count in sorted(held.groups.items(), key=lambda pair: (-pair[1], pair[0]))]
    if held.others:
        named.append(f"{held.others} about others")
    return f"{notices} about {about} held back by a throttle", "; ".join(named)


def _apart_us(rate: Rate) -> int:
    return duration_ms(rate.per) * 1_000 // rate.notices


def _slack_us(rate: Rate) -> int:
    return _apart_us(rate) * (rate.notices - 1)
