"""What can change in the outbox. Changes are values; a store writes a batch of them in one transaction."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

OFFSETS: Final = "offset"
"""Kind of the records that say where to read on, by `topic/partition`: moved in the transaction that keeps what was
read."""
STATE: Final = "state"
"""Kind of the records that are the process's own."""


class NotificationState(StrEnum):
    """Where a notification is on its way to its receiver."""

    PENDING = "pending"
    """Waits for its next try."""
    SENDING = "sending"
    """A try has begun and its answer is not recorded: after a crash here the receiver may hear it again."""
    SENT = "sent"
    """The receiver has said that it took it."""
    DEAD = "dead"
    """Given up, with the reason."""


class Keep(Struct, frozen=True):
    """A record of a kind has a new value; the newest of a kind and key holds."""

    kind: str
    key: str
    value: bytes


class Drop(Struct, frozen=True):
    """A record is no more."""

    kind: str
    key: str


class Plan(Struct, frozen=True, kw_only=True):
    """A notification is to be sent, and its first try begins: sending, as it may be heard from now on."""

    notification_id: str
    receiver: str
    channel: str
    group_key: str
    reason: str
    created_at_ms: int
    payload: str
    """The notification as JSON: what every try sends."""


class Try(Struct, frozen=True):
    """Another try begins: sending."""

    notification_id: str
    tries: int
    at_ms: int


class Wait(Struct, frozen=True):
    """A try has failed and another will follow: pending."""

    notification_id: str
    not_before_at_ms: int
    detail: str


class Sent(Struct, frozen=True):
    """The receiver took it."""

    notification_id: str
    at_ms: int
    detail: str


class Dead(Struct, frozen=True):
    """No try will follow."""

    notification_id: str
    at_ms: int
    detail: str


class Revive(Struct, frozen=True):
    """A person wants a dead notification to be tried again: pending."""

    notification_id: str


class Decided(Struct, frozen=True, kw_only=True):
    """A decision and its reason; never changed, forgotten after the time of retention."""

    at_ms: int
    fingerprint: str
    """The alert it is about; empty for a decision about a whole group."""
    group_key: str
    notification_id: str
    value: str
    """The decision as JSON."""


class Publish(Struct, frozen=True):
    """A record is to be written to Kafka; `seq` gives the order."""

    seq: int
    topic: str
    key: str
    value: str


class Published(Struct, frozen=True):
    """Kafka has taken every record up to `seq`."""

    seq: int


class Prune(Struct, frozen=True):
    """Forget what ended before a time, and the oldest decisions beyond a number."""

    before_at_ms: int
    decisions_max: int


Change = Keep | Drop | Plan | Try | Wait | Sent | Dead | Revive | Decided | Publish | Published | Prune
