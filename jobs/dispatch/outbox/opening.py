"""The choice of a store by its address."""

from pathlib import Path

from jobs.dispatch.outbox.postgresql import PostgresqlStore
from jobs.dispatch.outbox.sqlite import SqliteStore
from jobs.dispatch.outbox.store import OutboxStore
from jobs.errors import SentinelError


def open_store(where: str) -> OutboxStore:
    """Return the store at a `postgresql://` address or in a folder; raises SentinelError if it cannot be opened."""
    if where.startswith(("postgresql://", "postgres://")):
        return PostgresqlStore(where)
    if "://" in where:
        kind = where.partition("://")[0]
        raise SentinelError(f"The store {kind}://... is unknown: give a folder for SQLite, or postgresql://...")
    return SqliteStore(Path(where))
