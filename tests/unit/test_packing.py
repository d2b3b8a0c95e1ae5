"""Packing: rows come out bit for bit as they went in, and damaged bytes are noticed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from udfs.packing import pack, packed_width, unpack

WORDS = arrays(
    np.uint64, st.tuples(st.integers(0, 6), st.integers(1, 20)), elements=st.integers(0, 2**64 - 1) | st.just(0)
)


@given(WORDS, st.data())
def test_rows_come_out_as_they_went_in(words: np.ndarray, data: st.DataObject) -> None:  # type: ignore[type-arg]
    rows = np.array(
        data.draw(st.lists(st.integers(0, len(words) - 1), max_size=8)) if len(words) else [], dtype=np.int64
    )
    packed = np.empty(len(rows) * packed_width(words.shape[1]), dtype=np.uint64)
    size = pack(words, rows, packed)
    read = np.zeros((len(rows), words.shape[1]), dtype=np.uint64)
    assert unpack(packed[:size], read) == size
    assert np.array_equal(read, words[rows])
    if size:
        assert unpack(packed[: size - 1], np.zeros_like(read)) == -1


def test_zeros_take_a_bit_each() -> None:
    packed = np.empty(packed_width(80), dtype=np.uint64)
    assert pack(np.zeros((1, 80), dtype=np.uint64), np.array([0]), packed) == 2
