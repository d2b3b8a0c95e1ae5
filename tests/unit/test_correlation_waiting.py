"""Waiting lists: who waits, for how long, and beside whom."""

from tests.script import anomaly
from udfs.correlation.severity import MAX_WITNESSES
from udfs.correlation.waiting import KEEP_MS, MAX_LISTS, WaitingLists
from udfs.correlation.witness import Witness, witness_of

WINDOW_MS = 120_000


def witness(at_ms: int, application: str = "a", metric: str = "error_rate", severity: str = "warning") -> Witness:
    return witness_of(anomaly(at_ms, application, metric, severity), 0.9)


def test_witness_that_repeats_itself_within_the_window_is_one() -> None:
    lists = WaitingLists({}, WINDOW_MS)
    for step in range(4):
        lists.add(witness(step * WINDOW_MS))
    (one,) = lists.witnesses("application:a")
    assert one.count == 4
    assert one.last_at_ms - one.first_at_ms == 3 * WINDOW_MS


def test_witness_that_comes_back_after_the_window_begins_anew() -> None:
    lists = WaitingLists({}, WINDOW_MS)
    lists.add(witness(0))
    lists.add(witness(WINDOW_MS + 1))
    (one,) = lists.witnesses("application:a")
    assert (one.count, one.first_at_ms) == (1, witness(WINDOW_MS + 1).first_at_ms)


def test_late_witness_does_not_replace_a_later_one() -> None:
    lists = WaitingLists({}, WINDOW_MS)
    lists.add(witness(WINDOW_MS + 1))
    lists.add(witness(0))
    (one,) = lists.witnesses("application:a")
    assert one == witness(WINDOW_MS + 1)


def test_list_keeps_the_strongest_of_a_quarter_of_an_hour() -> None:
    lists = WaitingLists({}, WINDOW_MS)
    for number in range(20):
        lists.add(witness(number, metric=f"own{number}"))
    lists.add(witness(30, severity="critical"))
    kept = lists.witnesses("application:a")
    assert len(kept) == MAX_WITNESSES
    assert not kept[0].is_weak
    lists.add(witness(KEEP_MS + 25))
    assert [each.last_at_ms - witness(0).last_at_ms for each in lists.witnesses("application:a")] == [KEEP_MS + 25]


def test_least_recently_fed_list_goes_first() -> None:
    lists = WaitingLists({}, WINDOW_MS)
    for number in range(MAX_LISTS):
        lists.add(witness(number, application=str(number)))
    lists.add(witness(100, application="0"))
    lists.add(witness(101, application="new"))
    assert "application:0" in lists.lists
    assert "application:1" not in lists.lists
    assert len(lists.lists) == MAX_LISTS


def test_lists_are_forgotten_a_quarter_of_an_hour_after_they_were_fed() -> None:
    lists = WaitingLists({}, WINDOW_MS)
    lists.add(witness(0))
    at_ms = witness(0).last_at_ms
    lists.forget(at_ms + KEEP_MS - 1)
    assert list(lists.lists) == ["application:a"]
    lists.forget(at_ms + KEEP_MS)
    assert not lists.lists
