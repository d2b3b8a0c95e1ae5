"""JSON kernel: a batch of telemetry in JSON becomes columns, without an object for each event.

The kernel follows a program (`udfs/telemetry_program.py`). It reads what is plain: ASCII without escapes, fields that
the schema knows, each once, values within their limits. Whatever is not, it gives up, and `schemas.codec` decides what
that record is: an event after all, or why it is none. So the kernel never says that a record is bad, and what it reads
is exactly what the codec would have read.
"""

import numpy as np

from udfs.kernels import Floats, Integers, kernel
from udfs.telemetry_program import (
    BIT,
    BOOLEAN,
    BUCKETS,
    CHOICE,
    COUNT,
    IN,
    INSIDE,
    INSTANT,
    KIND,
    LEAST,
    NAME_FROM,
    NAME_TO,
    NULLABLE,
    NUMBER,
    SCOPE,
    SLOT,
    TEXT,
    TEXTS_BY_NAME,
    Octets,
)

GIVEN_UP = -1
_DEPTH_MAX = 8
_CONTAINERS_MAX = 32
_EXACT_MAX = 1 << 53
_DIGITS_MAX = 18
_NUMBER_BYTES_MAX = 40
_POWERS = np.array([float(10**exponent) for exponent in range(23)])
"""Powers of ten that are exact, so that a product or quotient with a whole number below 2**53 is rounded once
(Clinger 1990, How to read floating point numbers accurately)."""
_PLAIN = np.array([0x20 <= octet < 0x80 and octet not in b'"\\' for octet in range(256)], dtype=np.bool_)
"""Which bytes may stand in a text that the kernel reads."""
_SPACE = np.array([octet in b" \t\r\n" for octet in range(256)], dtype=np.bool_)

_ONE = np.uint64(1)
_QUOTE, _COMMA, _COLON, _DOT, _ZERO, _NINE = 0x22, 0x2C, 0x3A, 0x2E, 0x30, 0x39
_OPEN, _CLOSE, _OPEN_ARRAY, _CLOSE_ARRAY, _MINUS = 0x7B, 0x7D, 0x5B, 0x5D, 0x2D
_DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], dtype=np.int64)
_DAYS_IN = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_DAYS_TO_2000 = 10_957


@kernel
def read_events(
    source: Octets,
    starts: Integers,
    ends: Integers,
    fields: Integers,
    limits: Floats,
    names: Octets,
    buckets: Integers,
    required: Integers,
    choices: Integers,
    at_ms: Integers,
    numbers: Floats,
    inexact: Integers,
    codes: Integers,
    texts: Integers,
) -> None:
    """Read the records that lie between `starts` and `ends` in `source`, each with a zero byte behind it.

    For each it writes the event time to `at_ms`, `GIVEN_UP` if it gave up; numbers, NaN where there are none; where
    numbers lie that it cannot compute exactly, as begin and end in `source`; the numbers of choices, -1 for none; and
    where texts lie. All but `at_ms` must be NaN, 0, -1 and 0 before.
    """
    scopes = np.empty(_DEPTH_MAX, dtype=np.int64)
    seen = np.empty(required.shape[0], dtype=np.int64)
    for number in range(starts.shape[0]):
        at_ms[number] = _event(
            source,
            starts[number],
            ends[number],
            fields,
            limits,
            names,
            buckets,
            required,
            choices,
            numbers[number],
            inexact[number],
            codes[number],
            texts[number],
            scopes,
            seen,
        )


@kernel
def _event(
    source: Octets,
    at: int,
    end: int,
    fields: Integers,
    limits: Floats,
    names: Octets,
    buckets: Integers,
    required: Integers,
    choices: Integers,
    numbers: Floats,
    inexact: Integers,
    codes: Integers,
    texts: Integers,
    scopes: Integers,
    seen: Integers,
) -> int:
    """Read one record and return its event time, `GIVEN_UP` if there is anything odd about it."""
    moment = GIVEN_UP
    seen[:] = 0
    depth, scope = 0, 0
    scopes[0] = 0
    at = _behind_space(source, at)
    if source[at] != _OPEN:
        return GIVEN_UP
    at = _behind_space(source, at + 1)
    is_empty = source[at] == _CLOSE
    while True:
        if not is_empty:
            field, at = _field(source, at, scope, fields, names, buckets)
            if field == GIVEN_UP:
                return GIVEN_UP
            bit = 1 << fields[field, BIT]
            if seen[scope] & bit:
                return GIVEN_UP
            seen[scope] |= bit
            kind, slot, limit = fields[field, KIND], fields[field, SLOT], limits[field]
            start = at
            if source[at] == 0x6E:
                at = _word(source, at, b"null") if fields[field, NULLABLE] else GIVEN_UP
            elif kind == TEXT:
                at = _text(source, at)
                size = at - start - 2
                if at != GIVEN_UP:
                    if size < fields[field, LEAST] or size > limit:
                        return GIVEN_UP
                    if slot >= 0:
                        texts[slot, 0], texts[slot, 1] = start + 1, at - 1
            elif kind in (NUMBER, COUNT):
                value, at, is_whole, is_exact = _number(source, at)
                if at == GIVEN_UP or (kind == COUNT and not (is_whole and is_exact)):
                    return GIVEN_UP
                if is_exact:
                    if value > limit:
                        return GIVEN_UP
                    if slot >= 0:
                        numbers[slot] = value
                elif slot >= 0:
                    inexact[slot, 0], inexact[slot, 1] = start, at
                else:
                    return GIVEN_UP
            elif kind == SCOPE:
                if source[at] != _OPEN:
                    return GIVEN_UP
                scope = fields[field, INSIDE]
                depth += 1
                scopes[depth] = scope
                at = _behind_space(source, at + 1)
                is_empty = source[at] == _CLOSE
                continue
            elif kind == BOOLEAN:
                at = _word(source, at, b"true") if source[at] == 0x74 else _word(source, at, b"false")
            elif kind == CHOICE:
                at = _text(source, at)
                if at != GIVEN_UP:
                    choice = choice_of(source, start + 1, at - 1, names, choices, fields[field, INSIDE])
                    if choice == GIVEN_UP:
                        return GIVEN_UP
                    codes[slot] = choice
            elif kind == INSTANT:
                moment, at = _instant(source, at)
            else:
                at = behind_object(source, at, kind == TEXTS_BY_NAME)
            if at == GIVEN_UP:
                return GIVEN_UP
            at = _behind_space(source, at)
        while source[at] == _CLOSE:
            if seen[scope] & required[scope] != required[scope]:
                return GIVEN_UP
            at = _behind_space(source, at + 1)
            depth -= 1
            if depth < 0:
                return moment if at == end else GIVEN_UP
            scope = scopes[depth]
        if source[at] != _COMMA:
            return GIVEN_UP
        at = _behind_space(source, at + 1)
        is_empty = False


@kernel
def _octet(source: Octets, at: int | np.uint64) -> int:
    """Return a byte as a number that arithmetic keeps signed."""
    return np.int64(source[at])  # type: ignore[return-value]


@kernel
def _signed(place: np.uint64) -> int:
    return np.int64(place)  # type: ignore[return-value]


@kernel
def _behind_space(source: Octets, at: int) -> int:
    while _SPACE[source[at]]:
        at += 1
    return at


@kernel
def _field(source: Octets, at: int, scope: int, fields: Integers, names: Octets, buckets: Integers) -> tuple[int, int]:
    """Return the field whose name stands here and where its value begins."""
    if source[at] != _QUOTE:
        return GIVEN_UP, at
    start, place = at + 1, scope
    at = start
    index = np.uint64(start)
    while _PLAIN[source[index]]:
        place = place * 31 + _octet(source, index)
        index += _ONE
    place &= BUCKETS - 1
    at += _signed(index) - start
    if source[at] != _QUOTE:
        return GIVEN_UP, at
    while buckets[place] >= 0:
        field = buckets[place]
        if fields[field, IN] == scope and _is(
            source, start, at, names, fields[field, NAME_FROM], fields[field, NAME_TO]
        ):
            at = _behind_space(source, at + 1)
            if source[at] != _COLON:
                return GIVEN_UP, at
            return field, _behind_space(source, at + 1)
        place = (place + 1) & (BUCKETS - 1)
    return GIVEN_UP, at


@kernel
def _is(source: Octets, start: int, end: int, names: Octets, first: int, last: int) -> bool:
    if end - start != last - first:
        return False
    for place in range(end - start):
        if source[start + place] != names[first + place]:
            return False
    return True


@kernel
def _word(source: Octets, at: int, word: bytes) -> int:
    """Return what is behind a word, `GIVEN_UP` if it does not stand here."""
    for octet in word:
        if source[at] != octet:
            return GIVEN_UP
        at += 1
    return at


@kernel
def _text(source: Octets, at: int) -> int:
    """Return what is behind a plain text in quotes, `GIVEN_UP` if none stands here."""
    if source[at] != _QUOTE:
        return GIVEN_UP
    # An index that cannot be negative needs no look at the length: this loop is most of the kernel's time.
    place = np.uint64(at + 1)
    while _PLAIN[source[place]]:
        place += _ONE
    return _signed(place) + 1 if source[place] == _QUOTE else GIVEN_UP


@kernel
def choice_of(source: Octets, start: int, end: int, names: Octets, choices: Integers, first: int) -> int:
    """Return the number of a text among the choices of a field."""
    choice = first
    while choices[choice, 1] > 0:
        if _is(source, start, end, names, choices[choice, 0], choices[choice, 1]):
            return choice - first
        choice += 1
    return GIVEN_UP


@kernel
def behind_object(source: Octets, at: int, only_texts: bool) -> int:  # noqa: FBT001 - kernels are called by position
    """Return what is behind an object, with nothing but plain values in it, `GIVEN_UP` if none stands here."""
    if source[at] != _OPEN:
        return GIVEN_UP
    # One bit for each container that is open, the innermost last: 1 for an object, 0 for an array.
    containers, depth = 1, 1
    at = _behind_space(source, at + 1)
    is_first = True
    while True:
        if not is_first or source[at] != (_CLOSE if containers & 1 else _CLOSE_ARRAY):
            if containers & 1:
                at = _text(source, at)
                if at == GIVEN_UP:
                    return GIVEN_UP
                at = _behind_space(source, at)
                if source[at] != _COLON:
                    return GIVEN_UP
                at = _behind_space(source, at + 1)
            octet = source[at]
            if octet == _QUOTE:
                at = _text(source, at)
            elif only_texts:
                return GIVEN_UP
            elif octet in (_OPEN, _OPEN_ARRAY):
                if depth == _CONTAINERS_MAX:
                    return GIVEN_UP
                containers = 2 * containers + (1 if octet == _OPEN else 0)
                depth += 1
                at = _behind_space(source, at + 1)
                is_first = True
                continue
            elif octet == 0x74:
                at = _word(source, at, b"true")
            elif octet == 0x66:
                at = _word(source, at, b"false")
            elif octet == 0x6E:
                at = _word(source, at, b"null")
            else:
                _, at, _, is_exact = _number(source, at + 1 if octet == _MINUS else at)
                if not is_exact:
                    return GIVEN_UP
            if at == GIVEN_UP:
                return GIVEN_UP
            at = _behind_space(source, at)
        while source[at] != _COMMA:
            if source[at] != (_CLOSE if containers & 1 else _CLOSE_ARRAY):
                return GIVEN_UP
            at += 1
            containers //= 2
            depth -= 1
            if depth == 0:
                return at
            at = _behind_space(source, at)
        at = _behind_space(source, at + 1)
        is_first = False


@kernel
def _number(source: Octets, at: int) -> tuple[float, int, bool, bool]:
    """Return a number, what is behind it, whether it is written as a whole one, and whether the value is exact.

    Negative numbers are given up: no field that is read may have one.
    """
    start, mantissa, digits, exponent = at, 0, 0, 0
    if source[at] == _ZERO:
        at += 1
    else:
        while _ZERO <= source[at] <= _NINE:
            mantissa, digits = _with_digit(mantissa, digits, _octet(source, at))
            at += 1
        if at == start:
            return 0.0, GIVEN_UP, False, False
    is_whole = True
    if source[at] == _DOT:
        is_whole = False
        at += 1
        first = at
        while _ZERO <= source[at] <= _NINE:
            mantissa, digits = _with_digit(mantissa, digits, _octet(source, at))
            at += 1
        exponent = first - at
        if exponent == 0:
            return 0.0, GIVEN_UP, False, False
    if source[at] | 0x20 == 0x65:
        is_whole = False
        at += 1
        sign = 1
        if source[at] in (0x2B, 0x2D):
            sign = -1 if source[at] == 0x2D else 1
            at += 1
        first, power = at, 0
        while _ZERO <= source[at] <= _NINE and at - first < 4:
            power = 10 * power + _octet(source, at) - _ZERO
            at += 1
        if at == first:
            return 0.0, GIVEN_UP, False, False
        exponent += sign * power
    if at - start > _NUMBER_BYTES_MAX or _ZERO <= source[at] <= _NINE:
        return 0.0, GIVEN_UP, False, False
    if digits > _DIGITS_MAX or mantissa > _EXACT_MAX or exponent < -22 or exponent > 22:
        return 0.0, at, is_whole, False
    value = mantissa * _POWERS[exponent] if exponent >= 0 else mantissa / _POWERS[-exponent]
    return value, at, is_whole, True


@kernel
def _with_digit(mantissa: int, digits: int, octet: int) -> tuple[int, int]:
    """Return whole number and count of digits with one more; what is too long counts, and is not computed."""
    # Zeros before the first digit are none.
    digits += 1 if digits > 0 or octet != _ZERO else 0
    return (10 * mantissa + octet - _ZERO if digits <= _DIGITS_MAX else mantissa), digits


@kernel
def _instant(source: Octets, at: int) -> tuple[int, int]:
    """Return a time of the years 2000 to 2099 in ms and what is behind it: `"2026-11-24T09:30:00.000Z"`."""
    if _text(source, at) - at < 22:
        return GIVEN_UP, GIVEN_UP
    year, month, day = _digits(source, at + 1, 4), _digits(source, at + 6, 2), _digits(source, at + 9, 2)
    hour, minute, second = _digits(source, at + 12, 2), _digits(source, at + 15, 2), _digits(source, at + 18, 2)
    if not (2000 <= year <= 2099 and 1 <= month <= 12 and 0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return GIVEN_UP, GIVEN_UP
    is_leap = year % 4 == 0
    if not 1 <= day <= _DAYS_IN[month - 1] or (month == 2 and day == 29 and not is_leap):
        return GIVEN_UP, GIVEN_UP
    if source[at + 5] != 0x2D or source[at + 8] != 0x2D or source[at + 11] != 0x54:
        return GIVEN_UP, GIVEN_UP
    if source[at + 14] != _COLON or source[at + 17] != _COLON:
        return GIVEN_UP, GIVEN_UP
    at += 20
    milliseconds, place = 0, 100
    if source[at] == _DOT:
        at += 1
        first = at
        while _ZERO <= source[at] <= _NINE:
            milliseconds += place * (_octet(source, at) - _ZERO)
            place //= 10
            at += 1
        if at == first:
            return GIVEN_UP, GIVEN_UP
    if source[at] != 0x5A or source[at + 1] != _QUOTE:
        return GIVEN_UP, GIVEN_UP
    days = _DAYS_TO_2000 + 365 * (year - 2000) + (year - 1997) // 4 + _DAYS_BEFORE[month - 1] + day - 1
    if is_leap and month > 2:
        days += 1
    return ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + milliseconds, at + 2


@kernel
def _digits(source: Octets, at: int, count: int) -> int:
    """Return the number that so many digits make, `GIVEN_UP` if there are others than digits."""
    value = 0
    for place in range(count):
        octet = _octet(source, at + place)
        if octet < _ZERO or octet > _NINE:
            return GIVEN_UP
        value = 10 * value + octet - _ZERO
    return value
