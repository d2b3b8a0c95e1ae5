"""Forwarded ids: remembered for an hour, in bounded memory, like a set."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from udfs.correlation.forwarded import (
    GENERATION_IDS,
    MAX_GENERATIONS,
    REMEMBER_MS,
    SPAN_MS,
    Forwarded,
    contains,
    forgotten,
    remembered,
)
from udfs.correlation.witness import digest


@given(st.lists(st.integers(0, 2**64 - 1), max_size=300))
def test_memory_is_a_set_while_it_is_not_full(ids: list[int]) -> None:
    memory, model = Forwarded(), set[int]()
    for each in ids:
        assert contains(memory, each) == (each in model)
        if each not in model:
            memory = remembered(memory, each, 0)
            model.add(each)
    assert all(contains(memory, each) for each in model)


def test_memory_is_bounded_and_keeps_the_newest() -> None:
    memory = Forwarded()
    ids = [digest(str(number)) for number in range(GENERATION_IDS * (MAX_GENERATIONS + 2) + 5)]
    for position, each in enumerate(ids):
        memory = remembered(memory, each, position)
    # The generation that is filling, and seven full ones.
    assert all(contains(memory, each) for each in ids[-GENERATION_IDS * (MAX_GENERATIONS - 1) :])
    assert not contains(memory, ids[0])
    # 8 bytes an id; a few hundred bytes of frame and of the unsorted tail.
    assert len(msgpack.encode(memory)) < 8 * GENERATION_IDS * MAX_GENERATIONS + 2_000


def test_id_is_forgotten_after_an_hour_of_event_time_and_not_before() -> None:
    memory = Forwarded()
    for step in range(6):
        memory = remembered(memory, step, step * SPAN_MS)
    assert contains(forgotten(memory, REMEMBER_MS - 1), 0)
    assert not contains(forgotten(memory, REMEMBER_MS), 0)
    assert contains(forgotten(memory, REMEMBER_MS), 1)
    assert forgotten(memory, 0) is memory
    # Ids of one generation are forgotten together, with the newest of them.
    memory = remembered(remembered(Forwarded(), 1, 0), 2, SPAN_MS - 1)
    assert contains(forgotten(memory, REMEMBER_MS + SPAN_MS - 2), 1)
    assert not contains(forgotten(memory, REMEMBER_MS + SPAN_MS - 1), 2)
    assert forgotten(memory, 10 * REMEMBER_MS) == Forwarded()
