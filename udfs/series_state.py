"""Series state: the floats that detectors keep per key, as one working array in memory, stored in segments.

A segment has a layout (a version, and which owner has which columns) and the rows, packed. Reading a segment of
another layout keeps the blocks that still exist in the same version and size, so that adding, removing or changing one
detector leaves the others' columns alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from udfs.kernels import Floats, Integers
from udfs.packing import pack, packed_width, unpack

STATE_VERSION = 1
_FIRST_CAPACITY = 64
_PREFIX = 1
"""Bytes before the blocks of a layout: the version."""
_NEVER = -1


class StateError(ValueError):
    """Bytes that are no state of this program, or of a version it no longer reads."""


class Block(Struct, frozen=True, array_like=True):
    """Columns of one owner: a detector's id or the name of another part, and the version of what they mean."""

    owner: str
    version: int
    width: int


class Layout:
    """The blocks of one store in their order."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        """Place the blocks one after another; raises ValueError if two have one owner."""
        self.blocks = tuple(blocks)
        self.offsets: dict[str, int] = {}
        self.width = 0
        for block in self.blocks:
            if block.owner in self.offsets:
                problem = f"two blocks of state belong to {block.owner!r}; detector ids must differ"
                raise ValueError(problem)
            self.offsets[block.owner] = self.width
            self.width += block.width
        described = msgspec.msgpack.encode(self.blocks)
        self.header = bytes([STATE_VERSION]) + described

    def read(self, segment: "Segment") -> Floats:
        """Return the columns of a segment, float64[keys, width], zeros where its layout had none of ours."""
        blocks = self.blocks if segment.layout == self.header else _blocks(segment.layout)
        values = np.zeros((len(segment.keys), sum(block.width for block in blocks)))
        packed = np.frombuffer(segment.values[: len(segment.values) // 8 * 8], dtype="<u8")
        if 8 * unpack(packed, values.view(np.uint64)) != len(segment.values):
            raise StateError(f"damaged state: {len(segment.values)} bytes for {len(segment.keys)} series")
        if blocks is self.blocks:
            return values
        columns = np.zeros((len(segment.keys), self.width))
        position, kept = 0, set(self.blocks)
        for block in blocks:
            if block in kept:
                target = self.offsets[block.owner]
                columns[:, target : target + block.width] = values[:, position : position + block.width]
            position += block.width
        return columns


class Segment(Struct, frozen=True, array_like=True):
    """Some rows of one store as they are stored."""

    store: str
    layout: bytes
    keys: list[str]
    values: bytes
    """The rows, packed (`udfs/packing.py`)."""


class SeriesState:
    """The rows of one store of one shard. `values` is float64[capacity, layout.width]; fresh rows are zeros."""

    def __init__(self, store: str, layout: Layout, stored: Iterable[tuple[int, Segment]] = ()) -> None:
        """Take the store's name and all segments, other stores' included, each with the number of its entry."""
        self.layout = layout
        self.store = store
        self.values: Floats = np.zeros((_FIRST_CAPACITY, layout.width))
        self.keys: list[str] = []
        self._rows: dict[str, int] = {}
        self._is_touched = np.zeros(_FIRST_CAPACITY, dtype=np.bool_)
        self._written_in: Integers = np.full(_FIRST_CAPACITY, _NEVER)
        self.generation = 0
        """Raised when rows get other numbers."""
        self.has_forgotten = False
        """Whether rows were dropped since the last segment, so that what is stored holds too much."""
        for number, segment in stored:
            if segment.store == store:
                rows = self._rows_of(segment.keys)
                self.values[rows] = layout.read(segment)
                self._written_in[rows] = number

    def __len__(self) -> int:
        """Return how many rows are in use."""
        return len(self.keys)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all rows as they are stored, their keys left out."""
        return len(self.keys) * 8 * self.layout.width

    def rows(self, keys: Iterable[str]) -> Integers:
        """Return the rows of keys, made as needed; they count as touched."""
        rows = self._rows_of(keys)
        self._is_touched[rows] = True
        return rows

    def touch(self, rows: Iterable[int] | Integers) -> None:
        """Note that rows have changed."""
        self._is_touched[rows if isinstance(rows, np.ndarray) else list(rows)] = True

    def touch_written_in(self, number: int) -> None:
        """Note that the rows which were last written in this entry have to be written again."""
        self._is_touched |= self._written_in == number

    def valid_by_entry(self) -> Counter[int]:
        """Return how many rows are as the entries of these numbers have them: those not touched since."""
        written_in = self._written_in[: len(self.keys)][~self._is_touched[: len(self.keys)]]
        numbers, counts = np.unique(written_in, return_counts=True)
        return Counter(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))

    def touched(self, part_bytes: int) -> Iterator[Integers]:
        """Yield the rows touched since the last call, in parts whose segments have at most about so many bytes."""
        self.has_forgotten = False
        rows = np.flatnonzero(self._is_touched)
        self._is_touched[rows] = False
        step = max(1, part_bytes // max(1, 8 * packed_width(self.layout.width)))
        for start in range(0, len(rows), step):
            yield rows[start : start + step]

    def segment(self, rows: Integers, number: int) -> Segment:
        """Return some rows, to be written in the entry of this number."""
        self._written_in[rows] = number
        packed = np.empty(len(rows) * packed_width(self.layout.width), dtype=np.uint64)
        size = pack(self.values.view(np.uint64), rows, packed)
        keys = [self.keys[row] for row in rows.tolist()]
        return Segment(self.store, self.layout.header, keys, packed[:size].tobytes())

    def forget(self, rows: Iterable[int]) -> None:
        """Drop rows; others get new numbers."""
        dropped = set(rows)
        if not dropped:
            return
        kept = [row for row in range(len(self.keys)) if row not in dropped]
        for column, empty in ((self.values, 0.0), (self._is_touched, False), (self._written_in, _NEVER)):
            column[: len(kept)] = column[kept]
            column[len(kept) : len(self.keys)] = empty
        self.keys = [self.keys[row] for row in kept]
        self._rows = {key: row for row, key in enumerate(self.keys)}
        self.has_forgotten = True
        self.generation += 1

    def _rows_of(self, keys: Iterable[str]) -> Integers:
        known = self._rows
        found = [known[key] if key in known else self._enter(key) for key in keys]
        return np.array(found, dtype=np.int64)

    def _enter(self, key: str) -> int:
        row = len(self.keys)
        if row == len(self.values):
            self.values = np.concatenate([self.values, np.zeros_like(self.values)])
            self._is_touched = np.concatenate([self._is_touched, np.zeros_like(self._is_touched)])
            self._written_in = np.concatenate([self._written_in, np.full_like(self._written_in, _NEVER)])
        self.keys.append(key)
        self._rows[key] = row
        return row


class KeyColumn:
    """What follows from the key of each row, found once for each: a column beside the state that is not stored."""

    def __init__(self, state: SeriesState, of_keys: Callable[[list[str]], ArrayLike], *others: SeriesState) -> None:
        """Take the state, what makes values of keys, and the states whose rows such values are, if they are rows."""
        self._states = (state, *others)
        self._of_keys = of_keys
        self._values: NDArray[Any]
        self._begin()

    def at(self, rows: Integers) -> NDArray[Any]:
        """Return the values of rows."""
        if self._generations != [each.generation for each in self._states]:
            self._begin()
        new = self._states[0].keys[self._known :]
        if new:
            values = np.asarray(self._of_keys(new))
            self._values = np.concatenate([self._values, values]) if self._known else values
            self._known += len(new)
        return self._values[rows]

    def _begin(self) -> None:
        self._generations = [each.generation for each in self._states]
        self._known, self._values = 0, np.empty(0, dtype=np.int64)


def _blocks(layout: bytes) -> tuple[Block, ...]:
    if len(layout) < _PREFIX or layout[0] != STATE_VERSION:
        found = layout[0] if layout else "none"
        raise StateError(f"state of version {found} cannot be read; this release reads {STATE_VERSION}")
    try:
        return msgspec.msgpack.decode(layout[_PREFIX:], type=tuple[Block, ...])
    except msgspec.DecodeError as error:
        raise StateError(f"damaged state: {error}") from None
