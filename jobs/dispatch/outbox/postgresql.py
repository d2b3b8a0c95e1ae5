"""The outbox in PostgreSQL: any number of instances, of which one leads."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg

from jobs.dispatch.outbox import statements
from jobs.dispatch.outbox.changes import Change, Keep, NotificationState
from jobs.dispatch.outbox.store import DeposedError, Loaded, StoredNotification, StoreUnavailableError
from jobs.errors import SentinelError

_NUMBERED: Final = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
_OCTETS: Final = "BYTEA"
_LOCK: Final = 0x5E_47_1E_1D
"""Number of the advisory lock; the name of the schema is hashed beside it."""
_CONNECT_S: Final = 5
# A leader whose machine is gone, or cut off, loses its lock after about six seconds.
_SESSION: Final = (
    "SET application_name = 'sentinel-dispatch'; SET synchronous_commit = on; SET tcp_keepalives_idle = 2; "
    "SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 4; SET tcp_user_timeout = 6000; "
    "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '10s'"
)


class PostgresqlStore:
    """Tables `dispatch_*` in the schema that the address leads to.

    Who holds an advisory lock leads. Lock and writes share one session, so that a write that commits proves that the
    lock was still held: there is no moment in which two instances write. (A connection pool that shares sessions
    between clients breaks this; connect to the server itself.)
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._leads = False
        self._connection = self._connected()
        self._prepare()

    def lead(self) -> bool:
        """Try to take the lock; return whether this session holds it."""
        if self._connection.closed:
            self._leads = False
            self._connection = self._connected()
        if not self._leads:
            row = self._rows(f"SELECT pg_try_advisory_lock({_LOCK}, hashtext(current_schema()))")[0]
            self._leads = bool(row[0])
        return self._leads

    def load(self) -> Loaded:
        """Return what the outbox holds."""
        records, open_, outgoing = (
            self._rows(sql) for sql in (statements.KEPT, statements.OPEN, statements.UNPUBLISHED)
        )
        return statements.loaded(records, open_, outgoing)

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction of the session that holds the lock."""
        if not self._leads:
            raise DeposedError(f"This instance does not lead; nothing is written to {self._name()}.")
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                for sql, parameters in statements.grouped(changes):
                    cursor.executemany(_marked(sql), [tuple(map(_storable, each)) for each in parameters])
        except psycopg.Error as error:
            raise self._failure(error) from None

    def decisions(self, fingerprint: str, limit: int) -> list[str]:
        """Return the newest decisions about an alert and its groups, as JSON, oldest first."""
        rows = self._rows(statements.DECISIONS, (fingerprint, fingerprint, limit))
        return [row[0] for row in reversed(rows)]

    def notifications(self, states: Collection[NotificationState], limit: int) -> list[StoredNotification]:
        """Return the newest notifications in these states, oldest first."""
        rows = self._rows(*statements.notifications(states, limit))
        return [statements.stored_notification(row) for row in reversed(rows)]

    def announce(self, address: str) -> None:
        """Say where the leader answers."""
        self.write([Keep(*statements.ADDRESS_KEY, address.encode())])

    def leader_address(self) -> str:
        """Return where the leader answers; empty when none has said so."""
        rows = self._rows(statements.ONE, statements.ADDRESS_KEY)
        return rows[0][0].decode() if rows else ""

    def close(self) -> None:
        """End the session and with it the lead."""
        self._leads = False
        with suppress(psycopg.Error):
            self._connection.close()

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            connection = psycopg.connect(self._address, autocommit=True, connect_timeout=_CONNECT_S)
            connection.execute(_SESSION)
        except psycopg.Error as error:
            raise StoreUnavailableError(f"The outbox at {self._name()} cannot be reached: {_sentence(error)}") from None
        return connection

    def _prepare(self) -> None:
        """Create the tables, one instance after another.

        Only where there are none: even what exists already would be locked against the leader's writes.
        """
        try:
            with self._connection.transaction():
                self._connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK + 1})")
                if self._rows("SELECT to_regclass('dispatch_records')")[0][0] is None:
                    for statement in statements.tables(_NUMBERED, _OCTETS):
                        self._connection.execute(statement)
                first = (*statements.VERSION_KEY, statements.VERSION.encode())
                self._connection.execute(_marked(statements.FIRST_VERSION), first)
        except psycopg.Error as error:
            self.close()
            raise StoreUnavailableError(
                f"The outbox at {self._name()} cannot create its tables: {_sentence(error)}"
            ) from None
        found = self._rows(statements.ONE, statements.VERSION_KEY)[0][0].decode()
        if found != statements.VERSION:
            self.close()
            raise SentinelError(
                f"The outbox at {self._name()} is of version {found}, but this program knows {statements.VERSION} "
                "only: use the program that wrote it, or a newer one."
            )

    def _rows(self, sql: str, parameters: tuple[statements.Value, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            rows = self._connection.execute(_marked(sql), tuple(map(_storable, parameters))).fetchall()
        except psycopg.Error as error:
            raise self._failure(error) from None
        return [tuple(map(_as_it_was, row)) for row in rows]

    def _failure(self, error: psycopg.Error) -> StoreUnavailableError:
        """Return the failure; a session that is gone has taken the lock with it."""
        sentence = f"The outbox at {self._name()} does not answer: {_sentence(error)}"
        if self._connection.closed:
            led, self._leads = self._leads, False
            return DeposedError(sentence) if led else StoreUnavailableError(sentence)
        return StoreUnavailableError(sentence)

    def _name(self) -> str:
        """Return the address without its password."""
        parts = psycopg.conninfo.conninfo_to_dict(self._address)
        return f"postgresql://{parts.get('host', '')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _marked(sql: str) -> str:
    return sql.replace("?", "%s")


def _storable(value: statements.Value) -> statements.Value:
    """Return a value in which a text has no NUL, the one character that PostgreSQL's texts cannot hold."""
    return value.replace("\\", "\\\\").replace("\0", "\\0") if isinstance(value, str) else value


def _as_it_was(value: Any) -> Any:
    """Return what `_storable` was given."""
    if not isinstance(value, str) or "\\" not in value:
        return value
    return "\\".join(part.replace("\\0", "\0") for part in value.split("\\\\"))


def _sentence(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
