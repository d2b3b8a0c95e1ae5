"""Both stores of the outbox keep one contract."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.dispatch.core import Core
from jobs.dispatch.native_configuration import parse
from jobs.dispatch.outbox.changes import (
    OFFSETS,
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
from jobs.dispatch.outbox.opening import open_store
from jobs.dispatch.outbox.postgresql import _as_it_was, _storable
from jobs.dispatch.outbox.store import DeposedError, Loaded, OutboxStore, StoreUnavailableError
from jobs.errors import SentinelError
from jobs.stack.waiting import wait_until
from jobs.topics import ACTIONS
from schemas.action import Action, ActionKind, ActionTarget
from schemas.anomaly import Severity
from schemas.codec import decode_record
from tests.postgres_server import PostgresServer, postgres_server
from tests.receiving import notification
from udfs.alerting.alert import Alert
from udfs.alerting.memory import MEMORY, Earlier
from udfs.alerting.notification import Notification
from udfs.alerting.observation import Observation

pytestmark = pytest.mark.process

_NUMBERS = count()
ALERT = "alert"
Places = Callable[[], str]


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with postgres_server(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """A function that names a new, empty place for an outbox."""
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"outbox-{next(_NUMBERS)}")
    server: PostgresServer = request.getfixturevalue("postgresql")
    return lambda: server.schema(f"outbox_{os.getpid()}_{next(_NUMBERS)}")


def leading(place: str) -> OutboxStore:
    store = open_store(place)
    assert store.lead()
    return store


def reopened(place: str) -> Loaded:
    store = leading(place)
    try:
        return store.load()
    finally:
        store.close()


def plan(notification_id: str, created_at_ms: int = 1, payload: str = '{"alerts": []}') -> Plan:
    return Plan(
        notification_id=notification_id,
        receiver="team",
        channel="webhook[0]",
        group_key='{}:{alertname="Slow"}',
        reason="first_notification",
        created_at_ms=created_at_ms,
        payload=payload,
    )


def decided(at_ms: int, value: str, fingerprint: str = "f1", group_key: str = "g") -> Decided:
    return Decided(at_ms=at_ms, fingerprint=fingerprint, group_key=group_key, notification_id="", value=value)


def test_nothing_is_in_a_new_outbox(places: Places) -> None:
    found = reopened(places())
    assert set(found.kept) == {STATE}
    assert (found.open, found.unpublished, found.last_seq) == ((), (), 0)


def test_what_was_written_is_there_after_another_start(places: Places) -> None:
    place = places()
    store = leading(place)
    store.write([Keep(ALERT, "a", b"1"), Keep(ALERT, "b", b"2"), Keep("silence", "a", b"3")])
    store.write([Keep(ALERT, "a", b"4"), Drop(ALERT, "b"), Drop(ALERT, "c")])
    store.close()
    found = reopened(place)
    assert found.kept[ALERT] == {"a": b"4"}
    assert found.kept["silence"] == {"a": b"3"}


def test_notification_goes_through_its_states(places: Places) -> None:
    store = leading(places())
    states = list(NotificationState)
    store.write([plan("n1", created_at_ms=7)])
    (first,) = store.load().open
    assert (first.state, first.tries, first.created_at_ms, first.payload) == ("sending", 1, 7, '{"alerts": []}')
    store.write([Wait("n1", 99, "503")])
    (waiting,) = store.load().open
    assert (waiting.state, waiting.not_before_at_ms, waiting.detail) == ("pending", 99, "503")
    store.write([Try("n1", 2, 100)])
    (again,) = store.load().open
    assert (again.state, again.tries, again.changed_at_ms) == ("sending", 2, 100)
    store.write([Sent("n1", 101, "200")])
    assert store.load().open == ()
    (sent,) = store.notifications(states, 10)
    assert (sent.state, sent.tries, sent.changed_at_ms, sent.detail, sent.payload) == ("sent", 2, 101, "200", "")
    store.close()


def test_dead_notification_keeps_its_payload_and_can_be_revived(places: Places) -> None:
    store = leading(places())
    store.write([plan("n1"), plan("n2"), Dead("n1", 6, "401"), Sent("n2", 7, "")])
    (dead,) = store.notifications([NotificationState.DEAD], 10)
    assert (dead.notification_id, dead.detail, dead.payload) == ("n1", "401", '{"alerts": []}')
    store.write([Revive("n1"), Revive("n2")])
    assert [each.notification_id for each in store.load().open] == ["n1"]
    store.close()


def test_newest_notifications_come_oldest_first(places: Places) -> None:
    store = leading(places())
    store.write([plan(f"n{number}", created_at_ms=number) for number in range(5)])
    found = store.notifications([NotificationState.SENDING, NotificationState.SENT], 3)
    assert [each.notification_id for each in found] == ["n2", "n3", "n4"]
    store.close()


def test_decisions_of_an_alert_come_with_those_of_its_groups(places: Places) -> None:
    store = leading(places())
    store.write(
        [
            decided(1, '"routed"', "f1", "g1"),
            decided(2, '"other"', "f2", "g2"),
            decided(3, '"group"', "", "g1"),
            decided(4, '"other group"', "", "g2"),
            decided(5, '"silenced"', "f1", "g1"),
        ]
    )
    assert store.decisions("f1", 10) == ['"routed"', '"group"', '"silenced"']
    assert store.decisions("f1", 2) == ['"group"', '"silenced"']
    assert store.decisions("f3", 10) == []
    store.close()


def test_prune_forgets_what_is_old_or_too_much_but_nothing_open(places: Places) -> None:
    store = leading(places())
    store.write([decided(number, f'"{number}"') for number in range(10)])
    store.write([plan("open", 1), plan("sent", 1), Sent("sent", 2, ""), plan("dead", 1), Dead("dead", 8, "")])
    store.write([Prune(before_at_ms=4, decisions_max=100)])
    assert store.decisions("f1", 100) == [f'"{number}"' for number in range(4, 10)]
    assert {each.notification_id for each in store.notifications(list(NotificationState), 10)} == {"open", "dead"}
    store.write([Prune(before_at_ms=0, decisions_max=2)])
    assert store.decisions("f1", 100) == ['"8"', '"9"']
    store.close()


def test_records_for_kafka_stay_in_order_until_they_are_published(places: Places) -> None:
    store = leading(places())
    records = [Publish(seq, "sentinel.alerts", f"k{seq}", "{}") for seq in range(1, 5)]
    store.write(records)
    store.write([Published(2)])
    assert store.load().unpublished == tuple(records[2:])
    assert store.load().last_seq == 4
    store.close()


def test_batch_with_a_fault_changes_nothing(places: Places) -> None:
    store = leading(places())
    store.write([Publish(1, "t", "k", "v")])
    with pytest.raises(StoreUnavailableError):
        store.write([Keep(ALERT, "a", b"1"), Publish(1, "t", "k", "again")])
    assert ALERT not in store.load().kept
    store.write([Keep(ALERT, "a", b"2")])
    assert store.load().kept[ALERT] == {"a": b"2"}
    store.close()


KEYS = st.sampled_from(["a", "b\0", "\\0"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(Keep, st.sampled_from([ALERT, "log"]), KEYS, st.binary(max_size=20)),
    st.builds(Drop, st.sampled_from([ALERT, "log"]), KEYS),
    st.builds(plan, KEYS, payload=TEXTS),
    st.builds(Try, KEYS, st.integers(1, 9), st.integers(0, 2**62)),
    st.builds(Wait, KEYS, st.integers(0, 2**62), TEXTS),
    st.builds(Sent, KEYS, st.integers(0, 2**62), TEXTS),
    st.builds(Dead, KEYS, st.integers(0, 2**62), TEXTS),
    st.builds(Revive, KEYS),
)


def expected(changes: list[Change]) -> tuple[dict[str, dict[str, bytes]], dict[str, str]]:
    """Return what tables and states of notifications a list of changes leads to, by the words of their definitions."""
    kept: dict[str, dict[str, bytes]] = {}
    states: dict[str, str] = {}
    for change in changes:
        match change:
            case Keep(kind, key, value):
                kept.setdefault(kind, {})[key] = value
            case Drop(kind, key):
                kept.get(kind, {}).pop(key, None)
            case Plan():
                states[change.notification_id] = "sending"
            case Revive(notification_id):
                if states.get(notification_id) == "dead":
                    states[notification_id] = "pending"
            case Try() | Wait() | Sent() | Dead():
                word = {Try: "sending", Wait: "pending", Sent: "sent", Dead: "dead"}[type(change)]
                if change.notification_id in states:
                    states[change.notification_id] = word
    return kept, states


def test_batches_cut_anywhere_lead_to_the_same(places: Places) -> None:
    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.lists(CHANGES, max_size=8), max_size=5))
    def holds(batches: list[list[Change]]) -> None:
        place = places()
        store = leading(place)
        for batch in batches:
            store.write(batch)
        kept, states = expected([change for batch in batches for change in batch])
        found = store.load()
        found.kept.pop(STATE)
        assert found.kept == {kind: records for kind, records in kept.items() if records}
        assert {each.notification_id: each.state for each in store.notifications(list(NotificationState), 99)} == states
        store.close()

    holds()


@given(st.text("\\0\0a"))
def test_text_with_nul_comes_back_from_postgresql(text: str) -> None:
    assert "\0" not in str(_storable(text))
    assert _as_it_was(_storable(text)) == text


_WRITER = """
import sys
from jobs.dispatch.outbox.changes import Keep
from jobs.dispatch.outbox.opening import open_store
store = open_store(sys.argv[1])
assert store.lead()
number = 0
while True:
    number += 1
    store.write([Keep("alert", str(number), b"x"), Keep("offset", "topic/0", b"%d" % number)])
    print(number, flush=True)
"""


def test_what_write_returned_for_survives_a_kill_and_offsets_move_with_it(places: Places) -> None:
    place = places()
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, place], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(20):
        acknowledged = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in writer.stdout.read().splitlines() if line)])
    writer.wait()
    writer.stdout.close()
    found = reopened(place)
    last = int(found.kept[OFFSETS]["topic/0"])
    assert last in {acknowledged, acknowledged + 1}
    assert set(found.kept[ALERT]) == {str(number) for number in range(1, last + 1)}


def test_second_instance_on_sqlite_is_refused_with_the_holder(tmp_path: Path) -> None:
    store = leading(str(tmp_path))
    with pytest.raises(SentinelError, match=rf"in use by process {os.getpid()}: stop that one"):
        open_store(str(tmp_path))
    store.close()
    leading(str(tmp_path)).close()


def test_instance_that_starts_waits_for_no_write_of_the_leader(postgresql: PostgresServer) -> None:
    place = postgresql.schema(f"outbox_{os.getpid()}_{next(_NUMBERS)}")
    open_store(place).close()
    with psycopg.connect(place) as writing:
        # As a write of the leader that has not committed yet.
        for table in ("records", "notifications", "decisions", "outgoing"):
            writing.execute(f"LOCK TABLE dispatch_{table} IN ROW EXCLUSIVE MODE")
        # It would wait for the write, and give up after half a minute.
        open_store(place).close()


def test_second_instance_on_postgresql_follows_until_the_first_is_gone(postgresql: PostgresServer) -> None:
    place = postgresql.schema(f"outbox_{os.getpid()}_{next(_NUMBERS)}")
    first, second = leading(place), open_store(place)
    first.announce("http://127.0.0.1:1")
    assert not second.lead()
    assert second.leader_address() == "http://127.0.0.1:1"
    with pytest.raises(DeposedError):
        second.write([Keep(ALERT, "a", b"1")])
    first.close()
    # The server lets go of the lock when it sees that the session has ended.
    wait_until(second.lead, "the lock to be free", deadline_s=30)
    second.write([Keep(ALERT, "a", b"2")])
    second.close()


def test_leader_that_lost_its_session_writes_nothing_more(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as server:
        store = leading(server.address)
        store.write([Keep(ALERT, "a", b"1")])
        server.stop()
        with pytest.raises(DeposedError):
            store.write([Keep(ALERT, "a", b"2")])
        with pytest.raises(StoreUnavailableError, match=r"postgresql://127\.0\.0\.1:\d+/postgres"):
            store.lead()
        server.start()
        assert store.lead()
        assert store.load().kept[ALERT] == {"a": b"1"}
        store.close()


def test_damaged_file_is_one_sentence_with_advice(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
    with pytest.raises(SentinelError, match=r"outbox\.db cannot be opened \(.*\); restore it from a copy"):
        open_store(str(tmp_path))


def test_outbox_of_another_version_is_refused(places: Places) -> None:
    place = places()
    store = leading(place)
    store.write([Keep(STATE, "outbox_version", b"7")])
    store.close()
    with pytest.raises(SentinelError, match="of version 7, but this program knows 1 only"):
        open_store(place)


def test_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(SentinelError, match=r"mysql://\.\.\. is unknown"):
        open_store("mysql://nobody@nowhere/x")


def test_password_is_not_in_the_sentence() -> None:
    with pytest.raises(StoreUnavailableError) as refused:
        open_store("postgresql://someone:secret@127.0.0.1:1/x")
    assert "secret" not in str(refused.value)


SLACK = """
route: {receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1m}
receivers:
- name: team
  slack_configs: [{app_token: t, channel: '#ops', update_message: true, send_resolved: true}]
  email_configs: [{to: 'a@example.org, b@example.org', from: s@example.org, smarthost: 'localhost:25'}]
"""
MINUTE_MS = 60_000
SLACK_PLACE = '{}:{alertname="Slow"}\0team\0slack[0]'


class Sitting:
    """A core on a store; every step is written, and the next one may be taken by a core that was just started."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.settings = parse(SLACK, "test.yml", Path()).settings
        self.begin(0)

    def begin(self, now_ms: int) -> None:
        """Start on what the store holds."""
        self.store = leading(self._place)
        self.core = Core(self.settings, self.store.load(), now_ms, publishes=False)

    def restart(self, now_ms: int) -> None:
        """Forget all that the store does not hold."""
        self.store.close()
        self.begin(now_ms)

    def advance(self, now_ms: int) -> dict[str, Notification]:
        """Write what came of the time until now; return what is to be sent by its channel."""
        batch = self.core.advance(now_ms)
        self.store.write(batch.changes)
        return {each.channel: each for each in batch.notifications}

    def fire(self, now_ms: int, host: str, ends_at_ms: int | None = None) -> None:
        """Let the alert of a host fire."""
        labels = {"alertname": "Slow", "host": host}
        alert = Alert(labels=labels, starts_at_ms=0, updated_at_ms=now_ms, ends_at_ms=ends_at_ms)
        self.core.take_alerts([alert], now_ms)

    def kept(self) -> set[str]:
        """Return the places that the store knows something of."""
        return set(self.store.load().kept.get(MEMORY, {}))


def test_reference_of_a_message_outlives_the_process_and_goes_with_its_group(places: Places) -> None:
    sitting = Sitting(places())
    sitting.fire(0, "a", ends_at_ms=10**9)
    told = sitting.advance(1)
    for each in told.values():
        sitting.core.sent(each, "200", 2, "C1/17.4/#ops" if each.channel == "slack[0]" else "")
    sitting.advance(3)
    sitting.restart(4)
    sitting.fire(5, "b", ends_at_ms=10**9)
    again = sitting.advance(MINUTE_MS + 1)
    assert sitting.core.memory.earlier(again["slack[0]"]).reference == "C1/17.4/#ops"
    assert sitting.core.memory.earlier(again["email[0]"]) == Earlier()
    for each in again.values():
        sitting.core.sent(each, "200", MINUTE_MS + 2, "C1/17.4/#ops" if each.channel == "slack[0]" else "")
    # Both end, and the notice of it is given up: nobody says the last word, and the group is forgotten all the same.
    for host in ("a", "b"):
        sitting.fire(MINUTE_MS + 3, host, ends_at_ms=MINUTE_MS + 3)
    now_ms = 2 * MINUTE_MS + 5
    for each in sitting.advance(now_ms).values():
        sitting.core.failed(each, "410", now_ms)
    sitting.advance(now_ms)
    assert sitting.kept() == {SLACK_PLACE}
    sitting.restart(now_ms)
    while now_ms < 400 * MINUTE_MS and list(sitting.core.dispatcher.groups):
        now_ms += MINUTE_MS
        for each in sitting.advance(now_ms).values():
            sitting.core.sent(each, "200", now_ms)
    sitting.advance(now_ms)
    assert not list(sitting.core.dispatcher.groups)
    assert sitting.kept() == set()
    sitting.store.close()


def test_message_that_says_all_is_over_is_the_last_that_is_referred_to(places: Places) -> None:
    sitting = Sitting(places())
    sitting.fire(0, "a", ends_at_ms=MINUTE_MS)
    for number, now_ms in enumerate((1, MINUTE_MS + 1)):
        told = sitting.advance(now_ms)["slack[0]"]
        sitting.core.sent(told, "200", now_ms, "C1/17.4/#ops")
        sitting.advance(now_ms)
        assert sitting.kept() == (set() if number else {SLACK_PLACE})
    sitting.store.close()


def test_reference_after_its_group_is_gone_is_not_kept(places: Places) -> None:
    sitting = Sitting(places())
    stray = msgspec.structs.replace(notification("team", "slack[0]"), group_key="held back:{}")
    sitting.core.sent(stray, "200", 1, "C1/17.4/#ops")
    sitting.advance(2)
    assert sitting.kept() == set()
    sitting.store.close()


@pytest.mark.parametrize("end", ["sent", "failed", "superseded"])
def test_recipients_who_have_a_mail_are_known_until_all_have_it_or_it_is_another(places: Places, end: str) -> None:
    sitting = Sitting(places())
    sitting.fire(0, "a", ends_at_ms=10**9)
    told = sitting.advance(1)
    mail = told["email[0]"]
    sitting.core.sent(told["slack[0]"], "200", 1)
    sitting.core.wait(mail, 9, "450", frozenset({"a@example.org"}))
    sitting.advance(2)
    sitting.restart(3)
    ((stored, resumed),) = sitting.core.unsent
    assert (stored.state, stored.not_before_at_ms, resumed) == ("pending", 9, mail)
    # A try that reaches nobody more takes nothing away.
    sitting.core.wait(mail, 20, "no connection")
    sitting.core.wait(mail, 30, "450", frozenset({"b@example.org"}))
    sitting.advance(10)
    sitting.restart(11)
    both = frozenset({"a@example.org", "b@example.org"})
    assert sitting.core.memory.earlier(mail).reached == both
    if end == "sent":
        sitting.core.sent(mail, "250", 12)
        sitting.advance(13)
    elif end == "failed":
        # The next look at the group tells the same anew, under the same identifier: not those who have it.
        sitting.core.failed(mail, "later than the group's next look", 12, frozenset({"c@example.org"}))
        sitting.advance(13)
        sitting.restart(14)
        (again,) = sitting.advance(MINUTE_MS + 5).values()
        assert again.notification_id == mail.notification_id
        assert sitting.core.memory.earlier(again).reached == both | {"c@example.org"}
        sitting.core.sent(again, "250", MINUTE_MS + 6)
        sitting.advance(MINUTE_MS + 7)
    else:
        sitting.fire(12, "b", ends_at_ms=10**9)
        later = sitting.advance(MINUTE_MS + 5)["email[0]"]
        assert later.supersedes == mail.notification_id
        assert sitting.core.memory.earlier(later) == Earlier()
        # The answer of a try that was under way is no reason to try again.
        sitting.core.wait(mail, 99, "450", frozenset({"a@example.org"}))
        sitting.advance(MINUTE_MS + 6)
        assert mail.notification_id not in {each.notification_id for each in sitting.store.load().open}
        sitting.core.sent(later, "250", MINUTE_MS + 7)
        sitting.advance(MINUTE_MS + 8)
    assert sitting.kept() == set()
    sitting.store.close()


SHIELD = f"""
alertmanager:
{textwrap.indent(SLACK.strip(), "  ")}
definitions:
- alert_id: injection
  name: Injection
  conditions: {{trigger: anomaly}}
  throttling: {{max_frequency: 1h, grouping: [tenant_id, user_id]}}
  actions: [{{type: shield, config: {{action: block, duration: 2h}}}}]
"""


def shielding(place: str, now_ms: int) -> tuple[OutboxStore, Core]:
    configuration = parse(SHIELD, "test.yml", Path())
    store = leading(place)
    core = Core(configuration.settings, store.load(), now_ms, publishes=True, definitions=configuration.definitions)
    return store, core


def actions_in(store: OutboxStore) -> list[Action]:
    waiting = store.load().unpublished
    return [decode_record(each.value.encode(), Action) for each in waiting if each.topic == ACTIONS.name]


def test_action_waits_in_the_outbox_until_kafka_has_it_and_is_asked_for_once(places: Places) -> None:
    place = places()
    store, core = shielding(place, 0)
    fields = {"tenant_id": "acme", "user_id": "u1"}
    seen = Observation(at_ms=0, fields=fields, value=0.9, severity=Severity.CRITICAL)
    core.observe(seen, 1)
    store.close()
    # Lost before it was written: what was read is read again, and nobody has heard of an action.
    store, core = shielding(place, 2)
    assert actions_in(store) == []
    core.observe(seen, 3)
    core.observe(seen, 4)
    store.write(core.advance(5).changes)
    (action,) = actions_in(store)
    assert (action.action, action.target) == (ActionKind.BLOCK, ActionTarget(tenant_id="acme", user_id="u1"))
    assert (action.at, action.expires_at) == ("1970-01-01T00:00:00.003Z", "1970-01-01T02:00:00.003Z")
    assert any('"shield_asked"' in each for each in store.decisions(action.fingerprint, 100))
    store.close()
    store, core = shielding(place, 6)
    core.observe(seen, 7)
    store.write(core.advance(8).changes)
    assert actions_in(store) == [action]
    # The alert ends with its window; the action lasts as long as it said.
    store.write(core.advance(10 * MINUTE_MS).changes)
    assert actions_in(store) == [action]
    store.write([Published(store.load().last_seq)])
    assert store.load().unpublished == ()
    store.close()
