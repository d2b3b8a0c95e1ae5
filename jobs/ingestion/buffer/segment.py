"""One file of the log, and which events of which tenants are in it."""

import os
import re
import secrets
from array import array
from pathlib import Path
from typing import Final, Self

from udfs.ingestion.log_record import Damage, Record, scan

SUFFIX: Final = ".log"
_PAGE_BYTES: Final = 4_096
_NAME: Final = re.compile(r"(\d{12})-([0-9a-f]{8})\.log")


Places = tuple["array[int]", "array[int]", "array[int]"]
"""Numbers, offsets and lengths of records."""


class Part:
    """The events of one tenant in one segment."""

    __slots__ = ("events", "first", "last", "segment", "size")

    def __init__(self, segment: "Segment", first: int) -> None:
        self.segment = segment
        self.first = first
        self.last = first
        self.events = 0
        self.size = 0
        """Bytes of their records."""


class Index:
    """Where the events of each tenant are in a segment: 16 bytes an event."""

    def __init__(self) -> None:
        self.scanned_to = 0
        self._places: dict[str, Places] = {}

    def add(self, record: Record) -> None:
        """Note a record; one that repeats an earlier number of its tenant is passed over."""
        places = self._places.get(record.tenant)
        if places is None:
            places = self._places[record.tenant] = (array("Q"), array("I"), array("I"))
        if places[0] and record.number <= places[0][-1]:
            return
        for column, value in zip(places, (record.number, record.offset, record.length), strict=True):
            column.append(value)

    def of(self, tenant: str) -> Places:
        """Return numbers, offsets and lengths of the tenant's records, in order."""
        return self._places.get(tenant) or (array("Q"), array("I"), array("I"))


class Segment:
    """An open file of the log."""

    def __init__(self, path: Path, sequence: int, salt: int, descriptor: int) -> None:
        self.path = path
        self.sequence = sequence
        self.salt = salt
        self.descriptor = descriptor
        self.end = 0
        """Where the next record goes."""
        self.size = os.fstat(descriptor).st_size
        """Bytes on the disk."""
        self.parts: dict[str, Part] = {}
        """What is not settled, by tenant."""
        self.index = Index()
        """Where what was read lately is; only who reads touches it."""

    @staticmethod
    def new_path(folder: Path, sequence: int) -> tuple[Path, int]:
        """Return the path of a new segment and its salt."""
        salt = secrets.randbits(32)
        return folder / f"{sequence:012d}-{salt:08x}{SUFFIX}", salt

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open an existing segment; None if the file is none of ours."""
        name = _NAME.fullmatch(path.name)
        if name is None:
            return None
        return cls(path, int(name[1]), int(name[2], 16), os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def __del__(self) -> None:
        # Not when the file is deleted: a reader may still be at it.
        self.close()

    def close(self) -> None:
        """Close the file, if it is open."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes at a place; zeros instead of what the disk cannot read."""
        pieces = []
        while length > 0:
            try:
                piece = os.pread(self.descriptor, length, offset)
            except OSError:
                piece = self._read_page(offset, min(length, _PAGE_BYTES - offset % _PAGE_BYTES))
            if not piece:
                break
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return b"".join(pieces)

    @property
    def unused_bytes(self) -> int:
        """Bytes of what is settled."""
        return self.size - sum(part.size for part in list(self.parts.values()))

    def bring_index_up_to_date(self) -> list[tuple[Damage, bytes]]:
        """Note in the index what was written since the last time; return what is damaged."""
        index = self.index
        start, end = index.scanned_to, self.end
        index.scanned_to = end
        data = self.read(start, end - start)
        damaged = []
        for found in scan(self.salt, data):
            if isinstance(found, Record):
                index.add(found._replace(offset=found.offset + start))
            else:
                piece = data[found.offset : found.offset + found.length]
                damaged.append((found._replace(offset=found.offset + start), piece))
        return damaged

    def _read_page(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self.descriptor, length, offset)
        except OSError:
            return bytes(length)
