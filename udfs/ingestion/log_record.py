"""Records of the buffer's log: length and checksum first, so that a torn or damaged one is found and passed over.

    4 bytes  mark
    4        CRC-32 of all that follows, begun with the salt of the segment
    4        length of tenant, key and value together
    8        number of the event among those of its tenant, from 1
    2, 2     lengths of tenant and key
             tenant, key, value

Integers are little-endian. The salt is a secret of the segment: no sender can put into a value what would be taken for
a record when the search for the next whole one comes across it.
"""

from collections.abc import Iterator
from struct import Struct as Layout
from typing import Final, NamedTuple
from zlib import crc32

_MARK: Final = b"\xf5SR1"
_HEAD: Final = Layout("<IQHH")
_CHECKED_FROM: Final = 8
HEADER_BYTES: Final = _CHECKED_FROM + _HEAD.size


class Record(NamedTuple):
    """A whole record, and where it is."""

    offset: int
    length: int
    tenant: str
    number: int


class Damage(NamedTuple):
    """Bytes that are no record; whole ones may follow."""

    offset: int
    length: int
    tenants: tuple[tuple[str, int], ...]
    """Tenant and number of the events that seem to have been there."""


def length_of(tenant_bytes: int, key_bytes: int, value_bytes: int) -> int:
    """Return the bytes of a record."""
    return HEADER_BYTES + tenant_bytes + key_bytes + value_bytes


def encode(salt: int, tenant: bytes, number: int, key: bytes, value: bytes) -> bytes:
    """Return the record of an event."""
    head = _HEAD.pack(len(tenant) + len(key) + len(value), number, len(tenant), len(key))
    checked = b"".join((head, tenant, key, value))
    return b"".join((_MARK, crc32(checked, salt).to_bytes(4, "little"), checked))


def decode(salt: int, record: bytes) -> tuple[str, int, bytes, bytes] | None:
    """Return tenant, number, key and value of exactly one record; None if it is damaged."""
    if _whole_length(salt, record, 0) != len(record):
        return None
    _, number, tenant_bytes, key_bytes = _HEAD.unpack_from(record, _CHECKED_FROM)
    key_from = HEADER_BYTES + tenant_bytes
    value_from = key_from + key_bytes
    return (
        record[HEADER_BYTES:key_from].decode(errors="replace"),
        number,
        record[key_from:value_from],
        record[value_from:],
    )


def scan(salt: int, data: bytes, start: int = 0) -> Iterator[Record | Damage]:
    """Yield what is in `data` from `start` on, in order.

    Zeros up to the end are space that was never written. Other bytes that no whole record follows are one Damage: a
    torn write, if this is where the log ended.
    """
    at = start
    while at < len(data):
        length = _whole_length(salt, data, at)
        if length:
            _, number, tenant_bytes, _ = _HEAD.unpack_from(data, at + _CHECKED_FROM)
            tenant = data[at + HEADER_BYTES : at + HEADER_BYTES + tenant_bytes].decode(errors="replace")
            yield Record(at, length, tenant, number)
            at += length
            continue
        following = _next_whole(salt, data, at + 1)
        end = len(data) if following is None else following
        damaged = data[at:end].rstrip(b"\0") if following is None else data[at:end]
        if damaged:
            yield Damage(at, len(damaged), _seemingly(damaged))
        at = end


def _whole_length(salt: int, data: bytes, at: int) -> int:
    """Return the length of the whole record that begins here, or 0."""
    if data[at : at + 4] != _MARK or at + HEADER_BYTES > len(data):
        return 0
    body, _, tenant_bytes, key_bytes = _HEAD.unpack_from(data, at + _CHECKED_FROM)
    end = at + HEADER_BYTES + body
    if end > len(data) or tenant_bytes + key_bytes > body:
        return 0
    checksum = int.from_bytes(data[at + 4 : at + _CHECKED_FROM], "little")
    return HEADER_BYTES + body if crc32(memoryview(data)[at + _CHECKED_FROM : end], salt) == checksum else 0


def _next_whole(salt: int, data: bytes, at: int) -> int | None:
    while (at := data.find(_MARK, at)) >= 0:
        if _whole_length(salt, data, at):
            return at
        at += 1
    return None


def _seemingly(damaged: bytes) -> tuple[tuple[str, int], ...]:
    found = []
    at = -1
    while (at := damaged.find(_MARK, at + 1)) >= 0 and at + HEADER_BYTES <= len(damaged):
        body, number, tenant_bytes, _ = _HEAD.unpack_from(damaged, at + _CHECKED_FROM)
        tenant = damaged[at + HEADER_BYTES : at + HEADER_BYTES + tenant_bytes]
        if tenant_bytes <= body and len(tenant) == tenant_bytes:
            found.append((tenant.decode(errors="replace"), number))
    return tuple(found)
