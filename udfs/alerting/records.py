"""What has to outlive the process: small keyed records, so that a change costs what it changes."""

from typing import NamedTuple

from msgspec import Struct

from udfs.alerting.alert import Alert


class Record(NamedTuple):
    """One entry of the state of dispatch; the newest with a kind and key is valid."""

    kind: str
    """`clock`, `alert`, `group`, `log`, `pending` or `silence`."""
    key: str
    value: bytes | None
    """MessagePack; None deletes the entry."""


Changed = dict[tuple[str, str], None]
"""Kinds and keys of the records to be written, in the order of their first change."""


class ClockRecord(Struct, frozen=True, array_like=True):
    """When this dispatch began, and under which settings the groups were formed."""

    started_at_ms: int
    collected_at_ms: int
    settings_digest: str


class AlertRecord(Struct, frozen=True, array_like=True):
    """An alert, and the identifiers of the groups that still have something to tell of it."""

    alert: Alert
    groups: tuple[str, ...]


class GroupRecord(Struct, frozen=True, array_like=True):
    """A group without its alerts, which name it themselves."""

    route_number: int
    labels: dict[str, str]
    next_at_ms: int
    flushed: bool
    failed: bool
    emptied_at_ms: int | None
    settled: dict[str, int]


class Pending(Struct, frozen=True, array_like=True):
    """A notice that was handed over for sending and of which nothing has been heard yet."""

    notification_id: str
    group_key: str
    receiver: str
    channel: str
    firing: frozenset[str]
    resolved: frozenset[str]
    repeat_interval_ms: int

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it goes: group key, receiver and channel."""
        return self.group_key, self.receiver, self.channel
