"""Avro kernel: a batch of Avro telemetry becomes MessagePack, which msgspec decodes and validates as fast as JSON.

The kernel follows a program (`udfs/avro_program.py`) and copies values; it judges nothing. A record with anything odd
in it (a byte too many, a length beyond its end, a number that is not finite, one longer than need be) it gives up, and
`schemas.avro` decides what to say of it.
"""

import numpy as np

from udfs.avro_program import (
    AT_MS,
    BEHIND,
    BOOLEAN,
    COLUMN,
    CONTROLS,
    DOUBLE,
    END,
    ENDS,
    INSTANT,
    KIND,
    LONG,
    NAME_FROM,
    NAME_TO,
    NULLABLE,
    OBJECT,
    RECORD,
    TEXT,
    Octets,
)
from udfs.instant_text import FIRST_AT_MS, LAST_AT_MS, write_instant
from udfs.kernels import Integers, kernel

_DEPTH_MAX = 8
_LONG_BYTES_MAX = 9
_GIVEN_UP = -1


@kernel
def to_msgpack(source: Octets, edges: Integers, rows: Integers, names: Octets, target: Octets, told: Integers) -> None:
    """Write the records that lie between neighbouring `edges` of `source` to `target`, and a row of `told` for each.

    A record begins in `target` where the one before it ended; one that was given up takes nothing.
    """
    ends = 0
    for number in range(edges.shape[0] - 1):
        told[number, :] = 0
        at = _record(source, edges[number], edges[number + 1], rows, names, target, ends, told[number])
        if at == _GIVEN_UP:
            told[number, :] = 0
            told[number, AT_MS] = _GIVEN_UP
        else:
            ends = at
        told[number, ENDS] = ends


@kernel
def _record(
    source: Octets,
    at: int,
    end: int,
    rows: Integers,
    names: Octets,
    target: Octets,
    to: int,
    told: Integers,
) -> int:
    """Return where the MessagePack of one record ends, `_GIVEN_UP` if there is anything odd about it."""
    # Maps are written before it is known how many fields of theirs are there.
    heads = np.empty(_DEPTH_MAX, dtype=np.int64)
    counts = np.empty(_DEPTH_MAX, dtype=np.int64)
    depth = -1
    least = 255
    row = 0
    while row < rows.shape[0]:
        kind = rows[row, KIND]
        if kind == END:
            target[heads[depth]] = counts[depth]
            depth -= 1
            row += 1
            continue
        if rows[row, NULLABLE]:
            if at >= end:
                return _GIVEN_UP
            branch = source[at]
            at += 1
            if branch == 0:
                row = rows[row, BEHIND] if kind == RECORD else row + 1
                continue
            if branch != 2:
                return _GIVEN_UP
        if kind == OBJECT:
            size, at = _long(source, at, end)
            if at == _GIVEN_UP or size < 0 or size > end - at:
                return _GIVEN_UP
            column = rows[row, COLUMN]
            told[column], told[column + 1] = at, at + size
            at += size
            row += 1
            continue
        if depth >= 0:
            counts[depth] += 1
            start = rows[row, NAME_FROM]
            size = rows[row, NAME_TO] - start
            _copy(names, start, target, to, size)
            to += size
        if kind == RECORD:
            depth += 1
            # map 16: no record has more fields.
            target[to], target[to + 1] = 0xDE, 0
            heads[depth] = to + 2
            counts[depth] = 0
            to += 3
        elif kind == INSTANT:
            value, at = _long(source, at, end)
            if value < FIRST_AT_MS or value > LAST_AT_MS:
                return _GIVEN_UP
            told[AT_MS] = value
            to = write_instant(target, to, value)
        elif kind == TEXT:
            at, to, smallest = _text(source, at, end, target, to)
            least = min(least, smallest)
        elif kind == LONG:
            value, at = _long(source, at, end)
            target[to] = 0xD3
            for place in range(8):
                target[to + 1 + place] = (value >> (56 - 8 * place)) & 0xFF
            to += 9
        elif kind == DOUBLE:
            # An exponent of ones is an infinity or NaN.
            if end - at < 8 or (source[at + 7] & 0x7F == 0x7F and source[at + 6] & 0xF0 == 0xF0):
                return _GIVEN_UP
            target[to] = 0xCB
            for place in range(8):
                target[to + 1 + place] = source[at + 7 - place]
            at += 8
            to += 9
        elif kind == BOOLEAN:
            if at >= end or source[at] > 1:
                return _GIVEN_UP
            target[to] = 0xC2 + source[at]
            at += 1
            to += 1
        else:
            at, to = _map(source, at, end, target, to)
        if at == _GIVEN_UP:
            return _GIVEN_UP
        row += 1
    told[CONTROLS] = int(least < 0x20)
    return to if at == end else _GIVEN_UP


@kernel
def _long(source: Octets, at: int, end: int) -> tuple[int, int]:
    """Return a whole number and what is behind it, `_GIVEN_UP` if it does not end or has more than 62 bits."""
    value = 0
    shift = 0
    while at < end and shift < 7 * _LONG_BYTES_MAX:
        # A plain int() would be unsigned.
        octet: int = np.int64(source[at])  # type: ignore[assignment]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    return 0, _GIVEN_UP


@kernel
def _text(source: Octets, at: int, end: int, target: Octets, to: int) -> tuple[int, int, int]:
    """Copy a text; return what is behind it, where its copy ends, and the smallest byte in it."""
    size, at = _long(source, at, end)
    if at == _GIVEN_UP or size < 0 or size > end - at:
        return _GIVEN_UP, to, 255
    if size < 0x20:
        target[to] = 0xA0 | size
        to += 1
    elif size < 0x100:
        target[to], target[to + 1] = 0xD9, size
        to += 2
    else:
        target[to], target[to + 1], target[to + 2] = 0xDB, size >> 24, (size >> 16) & 0xFF
        target[to + 3], target[to + 4] = (size >> 8) & 0xFF, size & 0xFF
        to += 5
    return at + size, to + size, _copy(source, at, target, to, size)


@kernel
def _copy(source: Octets, at: int, target: Octets, to: int, size: int) -> int:
    """Copy bytes; return the smallest of them."""
    least = np.uint8(255)
    # Indices that cannot be negative need no look at the length: these two loops are most of the kernel's time.
    first, start = np.uint64(at), np.uint64(to)
    for place in range(np.uint64(size)):
        octet = source[first + place]
        target[start + place] = octet
        least = min(least, octet)
    return np.int64(least)  # type: ignore[return-value]


@kernel
def _map(source: Octets, at: int, end: int, target: Octets, to: int) -> tuple[int, int]:
    """Copy a map of texts; return what is behind it and where its copy ends."""
    head = to
    to += 5
    total = 0
    while True:
        count, at = _long(source, at, end)
        if at == _GIVEN_UP:
            return _GIVEN_UP, to
        if count == 0:
            break
        if count < 0:
            # A negative count says that the size of the block in bytes follows.
            count = -count
            _, at = _long(source, at, end)
            if at == _GIVEN_UP:
                return _GIVEN_UP, to
        if count > end - at:
            return _GIVEN_UP, to
        for _ in range(2 * count):
            at, to, _ = _text(source, at, end, target, to)
            if at == _GIVEN_UP:
                return _GIVEN_UP, to
        total += count
    target[head] = 0xDF
    for place in range(4):
        target[head + 1 + place] = (total >> (24 - 8 * place)) & 0xFF
    return at, to
