"""Record block: the records that a partition brought within a tick, as they cross from the JVM: one block of bytes."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np
from msgspec import Struct

from udfs.kernels import Integers
from udfs.telemetry_program import Octets

_COLUMNS: Final = 3
UNKNOWN_AT_MS: Final = -1
"""Time of a record of which the broker does not say when it took it; any negative one will do."""


class RecordBlock(Struct, frozen=True):
    """Records of one partition in offset order; all columns are int64[n]."""

    source: Octets
    """The values, a zero byte before the first and behind each."""
    starts: Integers
    ends: Integers
    """Where each value lies in `source`. A tombstone is an empty value."""
    offsets: Integers
    taken_at_ms: Integers
    """When the broker took each, negative where that is not known."""

    def __len__(self) -> int:
        return len(self.offsets)

    def payload(self, position: int) -> bytes:
        """Return the value of one record."""
        return self.source[self.starts[position] : self.ends[position]].tobytes()

    def payloads(self) -> list[bytes]:
        """Return all values."""
        return [self.payload(position) for position in range(len(self))]


def read_block(data: bytes) -> RecordBlock:
    """Return the records of a block of bytes; `operators/java/llmsentinel/RecordBlock.java` describes its layout."""
    count = int.from_bytes(data[:8], "little")
    offsets, taken_at_ms, ends = np.frombuffer(data, "<i8", _COLUMNS * count, 8).reshape(_COLUMNS, count)
    source = np.frombuffer(data, np.uint8, offset=8 * (1 + _COLUMNS * count))
    starts = np.empty_like(ends)
    starts[:1] = 1
    starts[1:] = ends[:-1] + 1
    return RecordBlock(source, starts, ends, offsets, taken_at_ms)


def block_of(
    payloads: Sequence[bytes | None], offsets: Sequence[int], taken_at_ms: Sequence[int] | None = None
) -> RecordBlock:
    """Return records that come from elsewhere, laid out as if they came from the JVM."""
    values = [payload or b"" for payload in payloads]
    ends = list(accumulate(len(value) + 1 for value in values))
    taken = [UNKNOWN_AT_MS] * len(values) if taken_at_ms is None else taken_at_ms
    numbers = np.array([len(values), *offsets, *taken, *ends], dtype="<i8")
    return read_block(b"".join([numbers.tobytes(), b"\0", *(value + b"\0" for value in values)]))
