"""The journal: what was written can be read again, at any time, and it stays bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stored import keep
from udfs.journal import Journal
from udfs.series_state import Block, Layout, SeriesState, StateError

LAYOUT = Layout([Block("a", 1, 3), Block("b", 1, 2)])
KEYS = [f"key-{i}" for i in range(40)]


def states(journal: Journal, layout: Layout = LAYOUT) -> list[SeriesState]:
    return [SeriesState(name, layout, journal.segments()) for name in ("first", "second")]


def contents(state: SeriesState) -> dict[str, list[float]]:
    return {key: state.values[row].tolist() for row, key in enumerate(state.keys)}


def written(stored: dict[str, bytes], rows: int, seed: int = 1) -> list[SeriesState]:
    """Write so many rows of records, of a few series each; return the states."""
    draw = np.random.default_rng(seed)
    journal = Journal(stored.items())
    now = states(journal)
    for _ in range(rows):
        for state in now:
            state.values[state.rows(draw.choice(KEYS, 3).tolist())] = draw.random(5)
        keep(stored, journal.write(now, {"own": bytes(draw.integers(0, 256, 4).tolist())}))
    return now


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("touch"), st.lists(st.sampled_from(KEYS), min_size=1, max_size=6)),
            st.tuples(st.just("forget"), st.lists(st.integers(0, 39), max_size=4)),
            st.tuples(st.just("restart"), st.just([])),
            st.tuples(st.just("write"), st.just([])),
        ),
        max_size=60,
    )
)
def test_what_is_read_is_what_was_there(steps: list[tuple[str, list[str] | list[int]]]) -> None:
    stored: dict[str, bytes] = {}
    journal = Journal(stored.items())
    now = states(journal)
    for number, (what, chosen) in enumerate(steps):
        state = now[number % 2]
        if what == "touch":
            state.values[state.rows([str(each) for each in chosen])] = number
        elif what == "forget":
            state.forget([each for each in chosen if isinstance(each, int) and each < len(state)])
        else:
            keep(stored, journal.write(now, {"own": bytes([number])}))
        if what == "restart":
            before = [contents(each) for each in now]
            journal = Journal(stored.items())
            assert journal.values == {"own": bytes([number])}
            now = states(journal)
            assert [contents(each) for each in now] == before


def test_it_stays_bounded() -> None:
    stored: dict[str, bytes] = {}
    now = written(stored, 5_000)
    assert sum(map(len, stored.values())) < 1.5 * sum(state.stored_bytes for state in now) + 100_000
    assert [contents(state) for state in states(Journal(stored.items()))] == [contents(state) for state in now]


def test_an_entry_of_which_nothing_is_valid_is_dropped() -> None:
    stored: dict[str, bytes] = {}
    journal = Journal(stored.items())
    now = states(journal)
    for number in range(50):
        for state in now:
            state.values[state.rows(KEYS)] = number
        keep(stored, journal.write(now, {}))
    assert len(stored) == 1
    assert contents(states(Journal(stored.items()))[0]) == contents(now[0])


def test_storing_is_one_write() -> None:
    stored: dict[str, bytes] = {}
    written(stored, 7)
    assert len(stored) <= 7


def test_a_store_that_is_gone_is_gone_from_what_is_stored() -> None:
    stored: dict[str, bytes] = {}
    first, _ = written(stored, 10)
    journal = Journal(stored.items())
    left = SeriesState("first", LAYOUT, journal.segments())
    keep(stored, journal.write([left], {}))
    assert {segment.store for _, segment in Journal(stored.items()).segments()} == {"first"}
    assert contents(states(Journal(stored.items()))[0]) == contents(first)


def test_another_layout_keeps_the_blocks_that_are_the_same() -> None:
    stored: dict[str, bytes] = {}
    first, _ = written(stored, 10)
    other = Layout([Block("b", 1, 2), Block("new", 1, 4), Block("a", 2, 3)])
    read = states(Journal(stored.items()), other)[0]
    for key, values in contents(first).items():
        assert contents(read)[key] == [*values[3:], *[0.0] * 7]


@pytest.mark.parametrize(
    "damaged", [b"", b"\x09rest", b"\x01\xc1", b"\x01\x92\x91\x94\xa5first\xc4\x01\x01\x91\xa1k\xc4\x00\x80"]
)
def test_what_cannot_be_read_is_refused(damaged: bytes) -> None:
    with pytest.raises(StateError):
        states(Journal([("0", damaged)]))


def test_no_entry_is_large_however_much_has_changed() -> None:
    stored: dict[str, bytes] = {}
    journal = Journal([])
    now = states(journal)
    for state in now:
        state.rows([f"key-{i}" for i in range(20_000)])
        state.values[:] = np.random.default_rng(1).random(state.values.shape)
    keep(stored, journal.write(now, {"own": b"1"}))
    assert max(map(len, stored.values())) < 1_000_000
    assert [contents(state) for state in states(Journal(stored.items()))] == [contents(state) for state in now]
    assert Journal(stored.items()).values == {"own": b"1"}
