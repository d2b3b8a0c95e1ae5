"""Record block: what crosses from the JVM is what the broker had."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from udfs.record_block import UNKNOWN_AT_MS, block_of, read_block

RECORDS = st.lists(
    st.tuples(st.one_of(st.none(), st.binary(max_size=40)), st.integers(0, 2**62), st.integers(-1, 2**50)), max_size=20
)


@given(RECORDS)
def test_records_are_read_as_they_were_written(records: list[tuple[bytes | None, int, int]]) -> None:
    payloads, offsets, taken = map(list, zip(*records, strict=True)) if records else ([], [], [])
    block = block_of(payloads, offsets, taken)
    assert len(block) == len(records)
    assert block.payloads() == [payload or b"" for payload in payloads]
    assert block.offsets.tolist() == offsets
    assert block.taken_at_ms.tolist() == taken
    source = block.source.tobytes()
    assert source[0] == 0
    assert all(source[end] == 0 for end in block.ends.tolist())


def test_layout_is_that_of_the_java_class() -> None:
    """The numbers are written out: `operators/java/llmsentinel/RecordBlock.java` makes these bytes of two records."""
    data = struct.pack("<7q", 2, 41, 42, 1_000, -1, 4, 5) + b"\0{ }\0\0"
    block = read_block(data)
    assert block.payloads() == [b"{ }", b""]
    assert block.offsets.tolist() == [41, 42]
    assert block.taken_at_ms.tolist() == [1_000, UNKNOWN_AT_MS]
