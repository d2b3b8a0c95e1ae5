"""Series state: the floats that detectors keep per key, as one working array in memory and one bytes value per key.

Bytes are a version, a layout (which owner has which columns) and little-endian float64. Reading bytes of another layout
keeps the blocks that still exist in the same version and size, so that adding, removing or changing one detector leaves
the others' columns alone.
"""

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STATE_VERSION = 1
_FIRST_CAPACITY = 64
_PREFIX = 5
"""Bytes before the layout: the version and the length of the layout."""


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
        self.header = bytes([STATE_VERSION]) + len(described).to_bytes(4, "little") + described

    def read(self, data: bytes) -> Floats:
        """Return the columns in stored bytes, float64[width], zeros where another layout had none of ours."""
        if data.startswith(self.header) and len(data) == len(self.header) + 8 * self.width:
            return np.frombuffer(data, dtype="<f8", offset=len(self.header))
        if len(data) < _PREFIX or data[0] != STATE_VERSION:
            problem = (
                f"state of version {data[0] if data else 'none'} cannot be read; this release reads {STATE_VERSION}"
            )
            raise StateError(problem)
        start = _PREFIX + int.from_bytes(data[1:5], "little")
        try:
            stored = msgspec.msgpack.decode(data[_PREFIX:start], type=tuple[Block, ...])
            values = np.frombuffer(data, dtype="<f8", offset=start)
        except ValueError as error:
            problem = f"damaged state: {error}"
            raise StateError(problem) from None
        if len(values) != sum(block.width for block in stored):
            problem = f"damaged state: {len(values)} values where its layout has {sum(b.width for b in stored)}"
            raise StateError(problem)
        columns = np.zeros(self.width)
        position = 0
        kept = set(self.blocks)
        for block in stored:
            if block in kept:
                target = self.offsets[block.owner]
                columns[target : target + block.width] = values[position : position + block.width]
            position += block.width
        return columns


class SeriesState:
    """The rows of one store of one shard. `values` is float64[capacity, layout.width]; fresh rows are zeros."""

    def __init__(self, store: str, layout: Layout, stored: Iterable[tuple[str, bytes]] = ()) -> None:
        """Take the store's name, which prefixes its stored keys, and all that is stored, other stores' included."""
        self.layout = layout
        self.values: Floats = np.zeros((_FIRST_CAPACITY, layout.width))
        self.keys: list[str] = []
        self._prefix = store + ":"
        self._rows: dict[str, int] = {}
        self._touched: set[int] = set()
        self._forgotten: list[str] = []
        for key, data in stored:
            if key.startswith(self._prefix):
                row = self._enter(key[len(self._prefix) :])
                self.values[row] = layout.read(data)

    def __len__(self) -> int:
        """Return how many rows are in use."""
        return len(self.keys)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all rows as they are stored, their keys left out."""
        return len(self.keys) * (len(self.layout.header) + 8 * self.layout.width)

    def rows(self, keys: Iterable[str]) -> Integers:
        """Return the rows of keys, made as needed; they count as touched."""
        known = self._rows
        found = [known[key] if key in known else self._enter(key) for key in keys]
        self._touched.update(found)
        return np.array(found, dtype=np.int64)

    def touch(self, rows: Iterable[int]) -> None:
        """Note that rows have changed."""
        self._touched.update(rows)

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Return the stored key and bytes of every row touched since the last call; None for what was forgotten."""
        header = self.layout.header
        for key in self._forgotten:
            yield self._prefix + key, None
        for row in self._touched:
            yield self._prefix + self.keys[row], header + self.values[row].tobytes()
        self._touched.clear()
        self._forgotten.clear()

    def forget(self, rows: Iterable[int]) -> None:
        """Drop rows, in memory and in the stored state; other rows get new numbers."""
        dropped = set(rows)
        if not dropped:
            return
        touched = {self.keys[row] for row in self._touched - dropped}
        kept = [row for row in range(len(self.keys)) if row not in dropped]
        self._forgotten.extend(self.keys[row] for row in sorted(dropped))
        self.values[: len(kept)] = self.values[kept]
        self.values[len(kept) : len(self.keys)] = 0.0
        self.keys = [self.keys[row] for row in kept]
        self._rows = {key: row for row, key in enumerate(self.keys)}
        self._touched = {self._rows[key] for key in touched}

    def _enter(self, key: str) -> int:
        row = len(self.keys)
        if row == len(self.values):
            self.values = np.concatenate([self.values, np.zeros_like(self.values)])
        self.keys.append(key)
        self._rows[key] = row
        return row
