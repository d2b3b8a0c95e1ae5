"""Journal: all that a shard has to store, in entries of which each holds what has changed since the one before.

Storing then costs a few writes, however many series were touched, and writes no more than those. Later entries override
earlier ones; one of which nothing is valid any more is dropped. When entries hold half as much again as is valid of
them, what is valid in the oldest is written once more with the newest: so the journal stays bounded.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from udfs.series_state import Segment, SeriesState, StateError

JOURNAL_VERSION: Final = 1
_SLACK: Final = 65_536
"""Bytes that a small journal may hold beyond its share: a few entries, so that not every write rewrites the oldest."""


_ENTRY_BYTES: Final = 262_144
"""Bytes of series an entry has at most, about: the JVM keeps values of megabytes apart, and is slow to."""


class _Entry(Struct, frozen=True, array_like=True):
    segments: list[Segment]
    values: dict[str, bytes]
    """Small values that are stored whole each time."""


class Journal:
    """The entries of one shard: read once at the start, then written one after another."""

    def __init__(self, stored: Iterable[tuple[str, bytes]]) -> None:
        """Take everything stored, by key, in any order. Raises StateError if it cannot be read."""
        entries = sorted((int(key), data) for key, data in stored)
        self._sizes = {number: len(data) for number, data in entries}
        self._read = [(number, _decode(data)) for number, data in entries]
        self._series = {number: sum(len(each.keys) for each in entry.segments) for number, entry in self._read}
        self._stores = {segment.store for _, segment in self.segments()}
        self._next = entries[-1][0] + 1 if entries else 0
        self.values: dict[str, bytes] = self._read[-1][1].values if entries else {}
        """Small values as they were last stored."""

    def segments(self) -> list[tuple[int, Segment]]:
        """Return what was stored of series, the oldest first, with the numbers of the entries."""
        return [(number, segment) for number, entry in self._read for segment in entry.segments]

    def write(self, states: Sequence[SeriesState], values: dict[str, bytes]) -> Iterator[tuple[str, bytes | None]]:
        """Yield the keys and bytes of the entries that hold all changes, and the keys of those that are dropped.

        Everything is written anew when a state has forgotten rows or is no longer there, so that nothing comes back.
        """
        self._read = []
        dropped: list[int] = []
        stores = {state.store for state in states}
        if not self._stores <= stores or any(state.has_forgotten for state in states):
            self._stores.clear()
            dropped = list(self._sizes)
            for state in states:
                state.touch(range(len(state)))
        else:
            valid = sum((state.valid_by_entry() for state in states), Counter[int]())
            dropped = [number for number in self._sizes if not valid[number]]
            kept = {number: size for number, size in self._sizes.items() if valid[number]}
            needed = sum(size * valid[number] // self._series[number] for number, size in kept.items())
            held = sum(kept.values())
            for number, size in kept.items():
                if held <= needed * 3 // 2 + _SLACK:
                    break
                held -= size
                dropped.append(number)
                for state in states:
                    state.touch_written_in(number)
        for number in dropped:
            del self._sizes[number], self._series[number]
            yield str(number), None
        segments: list[Segment] = []
        for state in states:
            for rows in state.touched(_ENTRY_BYTES):
                segments.append(state.segment(rows, self._next))
                if sum(len(each.values) for each in segments) >= _ENTRY_BYTES:
                    yield self._entry(segments, {})
                    segments = []
        # The last entry is the one that small values are read from.
        yield self._entry(segments, values)

    def _entry(self, segments: list[Segment], values: dict[str, bytes]) -> tuple[str, bytes]:
        number = self._next
        data = bytes([JOURNAL_VERSION]) + msgspec.msgpack.encode(_Entry(segments, values))
        self._stores.update(segment.store for segment in segments)
        self._sizes[number] = len(data)
        self._series[number] = sum(len(segment.keys) for segment in segments)
        self._next += 1
        return str(number), data


def _decode(data: bytes) -> _Entry:
    if not data or data[0] != JOURNAL_VERSION:
        found = data[0] if data else "none"
        raise StateError(f"a journal of version {found} cannot be read; this release reads {JOURNAL_VERSION}")
    try:
        return msgspec.msgpack.decode(memoryview(data)[1:], type=_Entry)
    except msgspec.DecodeError as error:
        raise StateError(f"damaged state: {error}") from None
