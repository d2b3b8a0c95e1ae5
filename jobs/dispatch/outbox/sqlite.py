"""The outbox in SQLite: one instance, no server."""

import fcntl
import os
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from jobs.dispatch.outbox import statements
from jobs.dispatch.outbox.changes import Change, NotificationState
from jobs.dispatch.outbox.store import Loaded, StoredNotification, StoreUnavailableError
from jobs.errors import SentinelError

_NUMBERED: Final = "INTEGER PRIMARY KEY AUTOINCREMENT"
_OCTETS: Final = "BLOB"


class SqliteStore:
    """A file `outbox.db` in a folder, for the one instance that holds the lock beside it.

    Write-ahead log with `synchronous=FULL`: a commit has reached the disk when it returns.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "outbox.db"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder / "outbox.lock")
        except OSError as error:
            raise SentinelError(f"The outbox in {folder} cannot be opened: {error.strerror}.") from None
        try:
            self._database = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
                self._database.execute(f"PRAGMA {pragma}")
            for statement in statements.tables(_NUMBERED, _OCTETS):
                self._database.execute(statement)
            self._check_version()
        except sqlite3.Error as error:
            self._lock.close()
            raise SentinelError(
                f"The outbox {self._file} cannot be opened ({error}); restore it from a copy, or move it away to begin "
                "anew, without what it knows."
            ) from None

    def lead(self) -> bool:
        """Return True: who holds the file's lock leads."""
        return True

    def load(self) -> Loaded:
        """Return what the outbox holds."""
        records, open_, outgoing = (
            self._rows(sql) for sql in (statements.KEPT, statements.OPEN, statements.UNPUBLISHED)
        )
        return statements.loaded(records, open_, outgoing)

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction, on disk when this returns."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for sql, parameters in statements.grouped(changes):
                self._database.executemany(sql, parameters)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise StoreUnavailableError(f"The outbox {self._file} does not take changes: {error}.") from None

    def decisions(self, fingerprint: str, limit: int) -> list[str]:
        """Return the newest decisions about an alert and its groups, as JSON, oldest first."""
        rows = self._rows(statements.DECISIONS, (fingerprint, fingerprint, limit))
        return [row[0] for row in reversed(rows)]

    def notifications(self, states: Collection[NotificationState], limit: int) -> list[StoredNotification]:
        """Return the newest notifications in these states, oldest first."""
        rows = self._rows(*statements.notifications(states, limit))
        return [statements.stored_notification(row) for row in reversed(rows)]

    def announce(self, address: str) -> None:
        """Do nothing: there is no other instance to tell."""

    def leader_address(self) -> str:
        """Return nothing: there is no other instance."""
        return ""

    def close(self) -> None:
        """Close the file and let go of its lock."""
        with suppress(sqlite3.Error):
            self._database.close()
        self._lock.close()

    def _rows(self, sql: str, parameters: tuple[statements.Value, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"The outbox {self._file} cannot be read: {error}.") from None

    def _check_version(self) -> None:
        self._database.execute(statements.FIRST_VERSION, (*statements.VERSION_KEY, statements.VERSION.encode()))
        found = self._rows(statements.ONE, statements.VERSION_KEY)[0][0].decode()
        if found != statements.VERSION:
            self.close()
            raise SentinelError(
                f"The outbox {self._file} is of version {found}, but this program knows {statements.VERSION} only: "
                "use the program that wrote it, or a newer one."
            )


def _locked(path: Path) -> IO[str]:
    """Return the open lock file with the number of this process in it; raises SentinelError if another one holds it."""
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise SentinelError(
            f"The outbox in {path.parent} is in use by process {holder}: stop that one, give this one another folder, "
            "or let both share a store in PostgreSQL."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
