"""Marks: offsets and the broker's times come out of one number each as they went in."""

from hypothesis import given
from hypothesis import strategies as st

from operators.shards import unmarked

_OFFSETS = 1 << 20


@given(
    st.integers(0, 1 << 60),
    st.lists(st.tuples(st.integers(1, 1_000), st.integers(-1, 4_102_444_800_000)), min_size=1, max_size=50),
)
def test_offsets_and_times_come_out_as_they_went_in(first: int, steps: list[tuple[int, int]]) -> None:
    """Steps are the distance to the record before, compaction and transactions leave gaps, and the time taken."""
    offsets = [first + sum(step for step, _ in steps[1 : i + 1]) for i in range(len(steps))]
    taken = [at_ms for _, at_ms in steps]
    marks = [at_ms * _OFFSETS + offset % _OFFSETS for offset, at_ms in zip(offsets, taken, strict=True)]
    assert [each.tolist() for each in unmarked(first, marks)] == [offsets, taken]
