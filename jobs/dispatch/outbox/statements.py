"""The outbox in SQL that SQLite and PostgreSQL share; only types of columns and marks of parameters differ."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from jobs.dispatch.outbox.changes import (
    STATE,
    Change,
    Dead,
    Decided,
    Drop,
    Keep,
    NotificationState,
    Plan,
    Prune,
    Publish,
    Published,
    Revive,
    Sent,
    Try,
    Wait,
)
from jobs.dispatch.outbox.store import Loaded, StoredNotification

Value = str | int | bytes
Statement = tuple[str, tuple[Value, ...]]

VERSION: Final = "1"
"""Of the tables."""
VERSION_KEY: Final = (STATE, "outbox_version")
ADDRESS_KEY: Final = (STATE, "leader_address")

_NOTIFICATION: Final = (
    "notification_id, state, receiver, channel, group_key, reason, created_at_ms, changed_at_ms, tries, "
    "not_before_at_ms, detail, payload"
)


_TABLES: Final = """
CREATE TABLE IF NOT EXISTS dispatch_records (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  value {octets} NOT NULL,
  PRIMARY KEY (kind, key)
);
CREATE TABLE IF NOT EXISTS dispatch_notifications (
  notification_id TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  receiver TEXT NOT NULL,
  channel TEXT NOT NULL,
  group_key TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  changed_at_ms BIGINT NOT NULL,
  tries INTEGER NOT NULL,
  not_before_at_ms BIGINT NOT NULL,
  detail TEXT NOT NULL,
  payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS dispatch_notifications_state ON dispatch_notifications (state, changed_at_ms);
CREATE TABLE IF NOT EXISTS dispatch_decisions (
  seq {numbered},
  at_ms BIGINT NOT NULL,
  fingerprint TEXT NOT NULL,
  group_key TEXT NOT NULL,
  notification_id TEXT NOT NULL,
  value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS dispatch_decisions_alert ON dispatch_decisions (fingerprint, seq);
CREATE INDEX IF NOT EXISTS dispatch_decisions_group ON dispatch_decisions (group_key, seq);
CREATE INDEX IF NOT EXISTS dispatch_decisions_time ON dispatch_decisions (at_ms);
CREATE TABLE IF NOT EXISTS dispatch_outgoing (
  seq BIGINT PRIMARY KEY,
  topic TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL
)"""


def tables(numbered: str, octets: str) -> list[str]:
    """Return the statements that create what is missing; the arguments are the store's words for two types."""
    return _TABLES.format(numbered=numbered, octets=octets).split(";")


def statements(change: Change) -> list[Statement]:  # noqa: C901, PLR0911 - one case per kind of change
    """Return what a change does to the tables."""
    match change:
        case Keep(kind, key, value):
            return [(KEEP, (kind, key, value))]
        case Drop(kind, key):
            return [("DELETE FROM dispatch_records WHERE kind = ? AND key = ?", (kind, key))]
        case Plan():
            return [(_PLAN, _planned(change))]
        case Try(notification_id, tries, at_ms):
            return [(_TRY, (at_ms, tries, notification_id))]
        case Wait(notification_id, not_before_at_ms, detail):
            return [(_WAIT, (not_before_at_ms, detail, notification_id))]
        case Sent(notification_id, at_ms, detail):
            return [(_SENT, (at_ms, detail, notification_id))]
        case Dead(notification_id, at_ms, detail):
            return [(_DEAD, (at_ms, detail, notification_id))]
        case Revive(notification_id):
            return [(_REVIVE, (notification_id,))]
        case Decided():
            about = (change.fingerprint, change.group_key, change.notification_id)
            return [(_DECIDED, (change.at_ms, *about, change.value))]
        case Publish():
            return [(_PUBLISH, (change.seq, change.topic, change.key, change.value))]
        case Published(seq):
            return [("DELETE FROM dispatch_outgoing WHERE seq <= ?", (seq,))]
        case Prune(before_at_ms, decisions_max):
            return [
                ("DELETE FROM dispatch_decisions WHERE at_ms < ?", (before_at_ms,)),
                (_PRUNE_NUMBER, (decisions_max,)),
                (_PRUNE_NOTIFICATIONS, (before_at_ms,)),
            ]


def grouped(changes: Iterable[Change]) -> Iterator[tuple[str, list[tuple[Value, ...]]]]:
    """Yield each statement with the parameters of all changes in a row that need it."""
    each = (statement for change in changes for statement in statements(change))
    for sql, same in groupby(each, key=lambda statement: statement[0]):
        yield sql, [parameters for _, parameters in same]


_PLAN: Final = (
    f"INSERT INTO dispatch_notifications ({_NOTIFICATION}) "  # noqa: S608 - names of ours
    "VALUES (?, 'sending', ?, ?, ?, ?, ?, ?, 1, 0, '', ?) ON CONFLICT (notification_id) DO UPDATE SET "
    "state = excluded.state, changed_at_ms = excluded.changed_at_ms, tries = excluded.tries, not_before_at_ms = 0, "
    "payload = excluded.payload"
)
_TRY: Final = (
    "UPDATE dispatch_notifications SET state = 'sending', changed_at_ms = ?, tries = ? WHERE notification_id = ?"
)
_WAIT: Final = (
    "UPDATE dispatch_notifications SET state = 'pending', not_before_at_ms = ?, detail = ? WHERE notification_id = ?"
)
# What was told stays in the decisions and at the receiver; the text of every message would fill the disk.
_SENT: Final = (
    "UPDATE dispatch_notifications SET state = 'sent', changed_at_ms = ?, detail = ?, payload = '' "
    "WHERE notification_id = ?"
)
_DEAD: Final = (
    "UPDATE dispatch_notifications SET state = 'dead', changed_at_ms = ?, detail = ? WHERE notification_id = ?"
)
_REVIVE: Final = (
    "UPDATE dispatch_notifications SET state = 'pending', not_before_at_ms = 0 "
    "WHERE notification_id = ? AND state = 'dead'"
)
_DECIDED: Final = (
    "INSERT INTO dispatch_decisions (at_ms, fingerprint, group_key, notification_id, value) VALUES (?, ?, ?, ?, ?)"
)
_PUBLISH: Final = "INSERT INTO dispatch_outgoing (seq, topic, key, value) VALUES (?, ?, ?, ?)"
_PRUNE_NUMBER: Final = (
    "DELETE FROM dispatch_decisions WHERE seq <= (SELECT COALESCE(MAX(seq), 0) FROM dispatch_decisions) - ?"
)
_PRUNE_NOTIFICATIONS: Final = "DELETE FROM dispatch_notifications WHERE state IN ('sent', 'dead') AND changed_at_ms < ?"
KEEP: Final = (
    "INSERT INTO dispatch_records (kind, key, value) VALUES (?, ?, ?) "
    "ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value"
)
KEPT: Final = "SELECT kind, key, value FROM dispatch_records"
ONE: Final = "SELECT value FROM dispatch_records WHERE kind = ? AND key = ?"
FIRST_VERSION: Final = (
    "INSERT INTO dispatch_records (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO NOTHING"
)
DECISIONS: Final = (
    "SELECT value FROM dispatch_decisions WHERE fingerprint = ? OR (fingerprint = '' AND group_key IN "
    "(SELECT group_key FROM dispatch_decisions WHERE fingerprint = ? AND group_key <> '')) ORDER BY seq DESC LIMIT ?"
)
OPEN: Final = (
    f"SELECT {_NOTIFICATION} FROM dispatch_notifications WHERE state IN ('pending', 'sending') "  # noqa: S608 - as above
    "ORDER BY created_at_ms, notification_id"
)
UNPUBLISHED: Final = "SELECT seq, topic, key, value FROM dispatch_outgoing ORDER BY seq"


def notifications(states: Collection[NotificationState], limit: int) -> Statement:
    """Return the query for the newest notifications in some states."""
    marks = ", ".join("?" for _ in states)
    sql = (
        f"SELECT {_NOTIFICATION} FROM dispatch_notifications WHERE state IN ({marks}) "  # noqa: S608 - marks alone
        "ORDER BY changed_at_ms DESC, notification_id DESC LIMIT ?"
    )
    return sql, (*(state.value for state in states), limit)


def stored_notification(row: Sequence[str | int]) -> StoredNotification:
    """Return the notification that a row of one of the queries holds."""
    texts = [str(each) for each in row]
    return StoredNotification(
        notification_id=texts[0],
        state=NotificationState(texts[1]),
        receiver=texts[2],
        channel=texts[3],
        group_key=texts[4],
        reason=texts[5],
        created_at_ms=int(row[6]),
        changed_at_ms=int(row[7]),
        tries=int(row[8]),
        not_before_at_ms=int(row[9]),
        detail=texts[10],
        payload=texts[11],
    )


def loaded(
    records: Iterable[tuple[str, str, bytes]],
    open_rows: Iterable[Sequence[str | int]],
    outgoing: Iterable[tuple[int, str, str, str]],
) -> Loaded:
    """Return what the rows of all tables say."""
    kept: dict[str, dict[str, bytes]] = {}
    for kind, key, value in records:
        kept.setdefault(kind, {})[key] = value
    unpublished = tuple(Publish(*row) for row in outgoing)
    return Loaded(
        kept=kept,
        open=tuple(stored_notification(row) for row in open_rows),
        unpublished=unpublished,
        last_seq=unpublished[-1].seq if unpublished else 0,
    )


def _planned(plan: Plan) -> tuple[Value, ...]:
    return (
        plan.notification_id,
        plan.receiver,
        plan.channel,
        plan.group_key,
        plan.reason,
        plan.created_at_ms,
        plan.created_at_ms,
        plan.payload,
    )
