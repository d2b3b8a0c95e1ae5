"""Key table: finds the rows of entities by the bytes of their names, so that no text is made for an event."""

import numpy as np

from udfs.entity import SEPARATOR
from udfs.kernels import Integers, kernel
from udfs.series_state import SeriesState
from udfs.telemetry_program import Octets

_FIRST_SLOTS = 256
_EMPTY = -1
_UNKNOWN = -1
_SEPARATOR = ord(SEPARATOR)
_PRIME = 0x01000193
_OFFSET = 0x811C9DC5
_WORD = 0xFFFFFFFF


class KeyTable:
    """The keys of one store. A key is some texts, joined by `udfs.entity.SEPARATOR`."""

    def __init__(self, state: SeriesState) -> None:
        """Take the state whose rows are looked for."""
        self._state = state
        self._begin()

    def rows(self, source: Octets, parts: Integers) -> Integers:
        """Return the rows of keys, made as needed; they count as touched.

        `parts` is int64[n, k, 2]: where each of the k texts of a key begins and ends in `source`.
        """
        if self._generation != self._state.generation:
            self._begin()
        rows = np.empty(len(parts), dtype=np.int64)
        _find(source, parts, self._slots, self._starts, self._arena, rows)
        for place in np.flatnonzero(rows == _UNKNOWN).tolist():
            key = SEPARATOR.join([source[start:end].tobytes().decode() for start, end in parts[place].tolist()])
            rows[place] = self._state.rows([key])[0]
        self._state.touch(rows)
        self._enter()
        return rows

    def _begin(self) -> None:
        self._generation = self._state.generation
        self._known = 0
        self._slots = np.full(_FIRST_SLOTS, _EMPTY, dtype=np.int64)
        self._starts = np.zeros(_FIRST_SLOTS, dtype=np.int64)
        self._arena = np.zeros(64 * _FIRST_SLOTS, dtype=np.uint8)
        self._enter()

    def _enter(self) -> None:
        """Take the keys that the state has beyond those known."""
        keys = self._state.keys
        for row in range(self._known, len(keys)):
            octets = np.frombuffer(keys[row].encode(), dtype=np.uint8)
            start = int(self._starts[row])
            while start + len(octets) > len(self._arena):
                self._arena = np.concatenate([self._arena, np.zeros_like(self._arena)])
            self._arena[start : start + len(octets)] = octets
            if row + 1 == len(self._starts):
                self._starts = np.concatenate([self._starts, np.zeros_like(self._starts)])
            self._starts[row + 1] = start + len(octets)
            if 2 * (row + 1) > len(self._slots):
                self._slots = np.full(2 * len(self._slots), _EMPTY, dtype=np.int64)
                _place(0, row + 1, self._slots, self._starts, self._arena)
            else:
                _place(row, row + 1, self._slots, self._starts, self._arena)
        self._known = len(keys)


@kernel
def _find(source: Octets, parts: Integers, slots: Integers, starts: Integers, arena: Octets, rows: Integers) -> None:
    """Write the row of each key to `rows`, `_UNKNOWN` where there is none."""
    for number in range(parts.shape[0]):
        code = _OFFSET
        for part in range(parts.shape[1]):
            if part > 0:
                code = _with_octet(code, _SEPARATOR)
            for place in range(parts[number, part, 0], parts[number, part, 1]):
                code = _with_octet(code, source[place])
        slot = _slot(code, slots.shape[0])
        while slots[slot] != _EMPTY and not _is(
            source, parts[number], arena, starts[slots[slot]], starts[slots[slot] + 1]
        ):
            slot = (slot + 1) & (slots.shape[0] - 1)
        rows[number] = slots[slot]


@kernel
def _place(first: int, last: int, slots: Integers, starts: Integers, arena: Octets) -> None:
    """Enter rows from `first` up to `last`, whose keys are not yet there."""
    for row in range(first, last):
        code = _OFFSET
        for place in range(starts[row], starts[row + 1]):
            code = _with_octet(code, arena[place])
        slot = _slot(code, slots.shape[0])
        while slots[slot] != _EMPTY:
            slot = (slot + 1) & (slots.shape[0] - 1)
        slots[slot] = row


@kernel
def _with_octet(code: int, octet: int) -> int:
    """Return a code of FNV-1a (32 bits) with one more byte in it."""
    return ((code ^ np.int64(octet)) * _PRIME) & _WORD  # type: ignore[return-value]


@kernel
def _slot(code: int, size: int) -> int:
    """Return where to look first, from a code of FNV-1a with its high bits folded in."""
    return (code ^ (code >> 16)) & (size - 1)


@kernel
def _is(source: Octets, parts: Integers, arena: Octets, start: int, end: int) -> bool:
    """Return whether the texts, joined, are the key that lies between start and end."""
    for part in range(parts.shape[0]):
        if part > 0:
            if start >= end or arena[start] != _SEPARATOR:
                return False
            start += 1
        for place in range(parts[part, 0], parts[part, 1]):
            if start >= end or arena[start] != source[place]:
                return False
            start += 1
    return start == end
