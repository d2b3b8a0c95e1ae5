"""The key table finds what the state holds, whatever the names are and however often rows are forgotten."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from udfs.entity import SEPARATOR
from udfs.key_table import KeyTable
from udfs.series_state import Block, Layout, SeriesState

NAMES = st.text(st.characters(codec="utf-8", min_codepoint=0x20), max_size=6)
KEYS = st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=12)


def rows(table: KeyTable, keys: list[tuple[str, str, str]]) -> list[int]:
    """Look keys up, their texts lying one after another."""
    octets = [name.encode() for key in keys for name in key]
    ends = np.cumsum([len(each) for each in octets], dtype=np.int64).reshape(-1, 3, 1)
    sizes = np.array([len(each) for each in octets], dtype=np.int64).reshape(-1, 3, 1)
    parts = np.concatenate([ends - sizes, ends], axis=2)
    found: list[int] = table.rows(np.frombuffer(b"".join(octets), dtype=np.uint8), parts).tolist()
    return found


def empty() -> SeriesState:
    return SeriesState("store", Layout([Block("a", 1, 1)]))


@given(st.lists(st.tuples(KEYS, st.sets(st.integers(0, 20), max_size=3)), max_size=8))
def test_rows_are_those_of_the_state(steps: list[tuple[list[tuple[str, str, str]], set[int]]]) -> None:
    state, plain = empty(), empty()
    table = KeyTable(state)
    for keys, forgotten in steps:
        assert rows(table, keys) == plain.rows([SEPARATOR.join(key) for key in keys]).tolist()
        assert state.keys == plain.keys
        for each in (state, plain):
            each.forget(row for row in forgotten if row < len(each))


def test_thousands_of_keys_have_rows_of_their_own() -> None:
    keys = [(f"tenant-{i % 7}", f"application-{i}", f"user-{i % 13}") for i in range(20_000)]
    table = KeyTable(empty())
    assert rows(table, keys) == list(range(20_000))
    assert rows(table, keys[::-1]) == list(range(20_000))[::-1]


def test_keys_in_other_parts_of_the_program_are_found() -> None:
    state = empty()
    table = KeyTable(state)
    state.rows([SEPARATOR.join(("a", "b", "c"))])
    assert rows(table, [("a", "b", "c"), ("a", "b", "d")]) == [0, 1]
