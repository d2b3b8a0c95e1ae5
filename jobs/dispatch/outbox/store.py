"""The contract of an outbox store."""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from jobs.dispatch.outbox.changes import Change, NotificationState, Publish
from jobs.errors import SentinelError


class StoreUnavailableError(SentinelError):
    """The batch is not written, or it is unknown whether it is; nothing of it may be acted upon."""


class DeposedError(StoreUnavailableError):
    """This instance no longer leads: another one may write, and what is in memory may be out of date."""


class StoredNotification(Struct, frozen=True, kw_only=True):
    """A notification as the outbox knows it."""

    notification_id: str
    state: NotificationState
    receiver: str
    channel: str
    group_key: str
    reason: str
    created_at_ms: int
    changed_at_ms: int
    tries: int
    not_before_at_ms: int
    detail: str
    payload: str
    """Empty once it was sent."""


class Loaded(Struct, frozen=True, kw_only=True):
    """What an instance that begins to lead has to know."""

    kept: dict[str, dict[str, bytes]]
    """Records by kind and key."""
    open: tuple[StoredNotification, ...]
    """Pending and sending, oldest first."""
    unpublished: tuple[Publish, ...]
    """In order."""
    last_seq: int
    """The highest number any record for Kafka ever had; 0 without one."""


class OutboxStore(Protocol):
    """Where the outbox lies. Called from one thread at a time; every method may block.

    One instance leads and writes. `write` is all or nothing and durable when it returns: it survives a killed process
    and a lost machine as far as the disk or the server does.
    """

    def lead(self) -> bool:
        """Become the instance that writes; return False while another one is. Raises StoreUnavailableError."""

    def load(self) -> Loaded:
        """Return what the outbox holds. Raises StoreUnavailableError."""

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes, in order, in one transaction.

        Raises DeposedError if this instance does not lead (any more), StoreUnavailableError if the store refuses.
        """

    def decisions(self, fingerprint: str, limit: int) -> list[str]:
        """Return the newest decisions about an alert and the groups it is in, as JSON, oldest first."""

    def notifications(self, states: Collection[NotificationState], limit: int) -> list[StoredNotification]:
        """Return the newest notifications in these states, oldest first."""

    def announce(self, address: str) -> None:
        """Say where the leader answers; only the leader says so."""

    def leader_address(self) -> str:
        """Return where the leader answers; empty when none has said so."""

    def close(self) -> None:
        """Give up the lead and what the store holds open."""
