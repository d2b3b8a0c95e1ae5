"""Avro kernel: a batch of telemetry in Avro becomes columns, without an object for each event.

The kernel follows a program (`udfs/telemetry_program.py`). A record with anything odd in it (a byte too many, a length
beyond its end, a value outside its limits) it gives up, and `schemas.avro` decides what that record is. So the kernel
never says that a record is bad, and what it reads is exactly what the codec would have read.
"""

import math

import numpy as np
from numpy.typing import NDArray

from schemas.telemetry import EARLIEST_AT_MS, LATEST_AT_MS
from udfs.json_kernel import GIVEN_UP, behind_object, choice_of
from udfs.kernels import Floats, Integers, kernel
from udfs.telemetry_program import (
    BEHIND,
    BOOLEAN,
    CHOICE,
    COUNT,
    INSIDE,
    INSTANT,
    KIND,
    LEAST,
    NULLABLE,
    NUMBER,
    OBJECT,
    SCOPE,
    SLOT,
    TEXT,
    TEXTS_BY_NAME,
    Octets,
)

_LONG_BYTES_MAX = 9
_MAP_ENTRIES_MAX = 1 << 20
_EARLIEST_AT_MS, _LATEST_AT_MS = EARLIEST_AT_MS, LATEST_AT_MS


@kernel
def read_avro_events(
    source: Octets,
    starts: Integers,
    ends: Integers,
    fields: Integers,
    limits: Floats,
    names: Octets,
    choices: Integers,
    at_ms: Integers,
    numbers: Floats,
    codes: Integers,
    texts: Integers,
) -> None:
    """Read the records that lie between `starts` and `ends` in `source`, which ends with a zero byte.

    For each it writes the event time to `at_ms`, `GIVEN_UP` if it gave up; numbers, NaN where there are none; the
    numbers of choices, -1 for none; and where texts lie. All but `at_ms` must be NaN, -1 and 0 before.
    """
    bits = np.empty(1, dtype=np.uint64)
    for number in range(starts.shape[0]):
        at_ms[number] = _event(
            source,
            starts[number],
            ends[number],
            fields,
            limits,
            names,
            choices,
            numbers[number],
            codes[number],
            texts[number],
            bits,
        )


@kernel
def _event(
    source: Octets,
    at: int,
    end: int,
    fields: Integers,
    limits: Floats,
    names: Octets,
    choices: Integers,
    numbers: Floats,
    codes: Integers,
    texts: Integers,
    bits: NDArray[np.uint64],
) -> int:
    """Read one record and return its event time, `GIVEN_UP` if there is anything odd about it."""
    moment = GIVEN_UP
    number = bits.view(np.float64)
    field = 0
    while field < fields.shape[0]:
        kind, slot, limit = fields[field, KIND], fields[field, SLOT], limits[field]
        if fields[field, NULLABLE]:
            if at >= end:
                return GIVEN_UP
            branch = source[at]
            at += 1
            if branch == 0:
                field = fields[field, BEHIND]
                continue
            if branch != 2:
                return GIVEN_UP
        if kind in (TEXT, CHOICE, OBJECT):
            size, start = _long(source, at, end)
            if start == GIVEN_UP or size < 0 or size > end - start:
                return GIVEN_UP
            at = start + size
            if kind == TEXT:
                # Only what tells events apart has a limit, and no control characters.
                length = _characters(source, start, at, 0x20 if limit < math.inf else 0)
                if length < fields[field, LEAST] or length > limit:
                    return GIVEN_UP
                if slot >= 0:
                    texts[slot, 0], texts[slot, 1] = start, at
            elif kind == CHOICE:
                choice = choice_of(source, start, at, names, choices, fields[field, INSIDE])
                if choice == GIVEN_UP:
                    return GIVEN_UP
                codes[slot] = choice
            elif behind_object(source, start, False) != at:
                return GIVEN_UP
        elif kind == NUMBER:
            if end - at < 8:
                return GIVEN_UP
            word = np.uint64(0)
            for place in range(8):
                word |= np.uint64(source[at + place]) << np.uint64(8 * place)
            bits[0] = word
            value = number[0]
            at += 8
            if not math.isfinite(value) or (limit < math.inf and not 0.0 <= value <= limit):
                return GIVEN_UP
            if slot >= 0:
                numbers[slot] = value
        elif kind in (COUNT, INSTANT):
            whole, at = _long(source, at, end)
            if at == GIVEN_UP:
                return GIVEN_UP
            if kind == COUNT:
                if whole < 0 or whole > limit:
                    return GIVEN_UP
                if slot >= 0:
                    numbers[slot] = whole
            elif _EARLIEST_AT_MS <= whole < _LATEST_AT_MS:
                moment = whole
            else:
                return GIVEN_UP
        elif kind == BOOLEAN:
            if at >= end or source[at] > 1:
                return GIVEN_UP
            at += 1
        elif kind == TEXTS_BY_NAME:
            at = _behind_map(source, at, end)
            if at == GIVEN_UP:
                return GIVEN_UP
        elif kind != SCOPE:
            return GIVEN_UP
        field += 1
    return moment if at == end else GIVEN_UP


@kernel
def _long(source: Octets, at: int, end: int) -> tuple[int, int]:
    """Return a whole number and what is behind it, `GIVEN_UP` if it does not end or has more than 62 bits."""
    value, shift = 0, 0
    while at < end and shift < 7 * _LONG_BYTES_MAX:
        # A plain int() would be unsigned.
        octet: int = np.int64(source[at])  # type: ignore[assignment]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    return 0, GIVEN_UP


@kernel
def _characters(source: Octets, start: int, end: int, least: int) -> int:
    """Return how many characters a text of UTF-8 has; -1 if it is none, or has one below `least`."""
    smallest, largest = np.uint8(0xFF), np.uint8(0)
    # Indices that cannot be negative need no look at the length: this loop is most of the kernel's time.
    first = np.uint64(start)
    for place in range(np.uint64(end - start)):
        octet = source[first + place]
        smallest = min(smallest, octet)
        largest = max(largest, octet)
    if smallest < least:
        return -1
    return end - start if largest < 0x80 else _utf8_characters(source, start, end)


@kernel
def _utf8_characters(source: Octets, at: int, end: int) -> int:
    """Return how many characters a text of UTF-8 (RFC 3629) has, -1 if it is none."""
    count = 0
    while at < end:
        lead: int = np.int64(source[at])  # type: ignore[assignment]
        more, low, high = 0, 0x80, 0xBF
        if lead >= 0x80:
            if lead < 0xC2 or lead > 0xF4:
                return -1
            more = 1 if lead < 0xE0 else (2 if lead < 0xF0 else 3)
            # No longer than need be, no surrogates, nothing beyond the last character.
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
            elif lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        if more >= end - at:
            return -1
        for place in range(at + 1, at + 1 + more):
            if source[place] < low or source[place] > high:
                return -1
            low, high = 0x80, 0xBF
        at += 1 + more
        count += 1
    return count


@kernel
def _behind_map(source: Octets, at: int, end: int) -> int:
    """Return what is behind a map of texts, `GIVEN_UP` if none stands here."""
    while True:
        count, at = _long(source, at, end)
        if at == GIVEN_UP or count == 0:
            return at
        if count < 0:
            # A negative count says that the size of the block in bytes follows.
            count = -count
            _, at = _long(source, at, end)
        if at == GIVEN_UP or count > _MAP_ENTRIES_MAX:
            return GIVEN_UP
        for _ in range(2 * count):
            size, at = _long(source, at, end)
            if at == GIVEN_UP or size < 0 or size > end - at or _characters(source, at, at + size, 0) < 0:
                return GIVEN_UP
            at += size
