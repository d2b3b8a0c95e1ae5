"""The log on the disk: events of all tenants in the order of their writing, in segments that are deleted when settled.

Not locked. The writer's thread appends; whoever holds the buffer's lock changes what is known of parts and segments;
the taker's thread reads.
"""

import contextlib
import errno
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Final

from jobs.ingestion.buffer.batch import Batch, Read, Written
from jobs.ingestion.buffer.event import EVENT_OVERHEAD_BYTES, Waiting
from jobs.ingestion.buffer.files import Files
from jobs.ingestion.buffer.segment import SUFFIX, Index, Part, Segment
from udfs.ingestion.log_record import Damage, Record, decode, encode, length_of, scan

_REWRITING: Final = ".rewriting"
_INDEXES_KEPT: Final = 8
_PART_BYTES: Final = 400
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskFullError(OSError):
    """There is no space for another segment."""


class Log:
    """Segments in a folder."""

    def __init__(self, folder: Path, segment_bytes: int, disk_bytes: int, files: Files) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._disk_bytes = disk_bytes
        self._files = files
        self._segments: dict[int, Segment] = {}
        self._sequence = 0
        self._active: Segment | None = None
        self._parts: dict[str, deque[Part]] = {}
        self._part_count = 0
        self._dead: deque[Segment] = deque()
        self._indexed: dict[Segment, None] = {}
        self._indexing = Lock()
        self.damaged_bytes = 0
        """Bytes set aside because they were no whole record."""
        self.torn_bytes = 0
        """Bytes of the last writes before a crash, which nobody had been told are safe."""

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(segment.size for segment in list(self._segments.values()))

    @property
    def index_bytes(self) -> int:
        """Bytes of memory for what is known of the segments, in about."""
        return _PART_BYTES * self._part_count

    def recover(self, is_gone: Callable[[str, int], bool]) -> Iterator[tuple[Part | Damage, str]]:
        """Read the segments that an earlier process left, one at a time in memory.

        Yields the parts of which something is not gone, in order, and what is damaged, each with its tenant. Segments
        without such parts are deleted.
        """
        segments = filter(None, map(Segment.open, sorted(self._folder.glob(f"*{SUFFIX}"))))
        newest: dict[str, int] = {}
        for leftover in self._folder.glob(f"*{_REWRITING}"):
            with contextlib.suppress(OSError):
                self._files.remove(leftover)
        for segment, is_last in _with_last(segments):
            self._sequence = max(self._sequence, segment.sequence)
            self._segments[segment.sequence] = segment
            for found in self._scan(segment, is_last=is_last):
                if isinstance(found, Damage):
                    for tenant, number in found.tenants:
                        if number > newest.get(tenant, 0) and not is_gone(tenant, number):
                            yield found, tenant
                elif found.number > newest.get(found.tenant, 0) and not is_gone(found.tenant, found.number):
                    newest[found.tenant] = found.number
                    self._note(segment, found.tenant, found.number, found.length)
            for tenant, part in segment.parts.items():
                yield part, tenant
            self._dead.append(segment)
        self.sweep()

    def append(self, events: Iterable[Waiting]) -> tuple[list[Written], OSError | None]:
        """Write events in their order; return those that are safely on the disk, and why the others are not.

        `note` has to be told of what was written before the next `sweep`.
        """
        safe: list[Written] = []
        batch = Batch()
        try:
            segment = self._active or self._begin()
            for event in events:
                tenant = event.tenant.encode()
                length = length_of(len(tenant), len(event.key), len(event.value))
                if segment.end + batch.size + length > segment.size:
                    self._write(segment, batch)
                    safe.extend(batch.written(segment))
                    batch = Batch()
                    segment = self._begin()
                batch.add(event, encode(segment.salt, tenant, event.number, event.key, event.value))
            self._write(segment, batch)
        except OSError as problem:
            return safe, problem
        safe.extend(batch.written(segment))
        return safe, None

    def note(self, written: Written) -> Part:
        """Remember what was appended, and return the part that it belongs to."""
        tenant_bytes = len(written.tenant.encode())
        for event in written.events:
            length = length_of(tenant_bytes, len(event.key), len(event.value))
            self._note(written.segment, written.tenant, event.number, length)
        return written.segment.parts[written.tenant]

    def read(self, tenant: str, segment: Segment, after: int, last: int, bytes_max: int) -> list[Read]:
        """Return the next events of a tenant in a segment with numbers above `after` up to `last`, at least one.

        They take `bytes_max` of memory in about.
        Damaged ones are left out. None at all means that there are no more.
        """
        self._bring_index_up_to_date(segment)
        numbers, offsets, lengths = segment.index.of(tenant)
        at = bisect_right(numbers, after)
        found: list[Read] = []
        size = 0
        while at < len(numbers) and numbers[at] <= last and (size < bytes_max or not found):
            data = segment.read(offsets[at], lengths[at])
            size += lengths[at] + EVENT_OVERHEAD_BYTES
            if (record := decode(segment.salt, data)) is not None:
                found.append(Read(*record[1:]))
            else:
                self._set_aside(segment, offsets[at], data)
            at += 1
        return found

    def settle(self, tenant: str, settled: int) -> None:
        """Let go of the parts in which everything is settled."""
        parts = self._parts.get(tenant)
        while parts and parts[0].last <= settled:
            self._forget(tenant, parts.popleft())

    def give_up(self, tenant: str, after: int, last: int) -> None:
        """Let go of the parts between two numbers, although something before them is not settled."""
        parts = self._parts.get(tenant, ())
        for part in [part for part in parts if after < part.first and part.last <= last]:
            self._parts[tenant].remove(part)
            self._forget(tenant, part)

    def sweep(self) -> None:
        """Delete the segments in which nothing is left. Only the writer may call it."""
        for _ in range(len(self._dead)):
            segment = self._dead.popleft()
            if segment.parts or segment is self._active or self._segments.get(segment.sequence) is not segment:
                continue
            try:
                self._files.remove(segment.path)
            except OSError:
                self._dead.append(segment)
            else:
                del self._segments[segment.sequence]
                self._let_go_of(segment)

    def rewrite(self) -> tuple[Segment, Segment] | None:
        """Write the complete segment of which most is settled anew, without that, to make room on the disk.

        Returns it and its successor for `swap`; None if there is none for which it is worth while. Only the writer may
        call it.
        """
        complete = [segment for segment in list(self._segments.values()) if segment is not self._active]
        old = max(complete, key=lambda segment: segment.unused_bytes, default=None)
        if old is None or 4 * old.unused_bytes < self._segment_bytes:
            return None
        data = old.read(0, old.end)
        kept = b"".join(
            data[found.offset : found.offset + found.length]
            for found in scan(old.salt, data)
            if isinstance(found, Record)
            and (part := old.parts.get(found.tenant)) is not None
            and part.first <= found.number <= part.last
        )
        path = old.path.with_suffix(_REWRITING)
        # Of an attempt that failed.
        self._files.remove(path)
        descriptor = self._files.create(path, len(kept) or 1)
        new = Segment(old.path, old.sequence, old.salt, descriptor)
        self._files.write(descriptor, kept, 0)
        self._files.sync(descriptor)
        self._files.replace(path, old.path)
        new.end = len(kept)
        return old, new

    def swap(self, old: Segment, new: Segment) -> None:
        """Let a rewritten segment take the place of the old one, which who reads it may go on reading."""
        for part in old.parts.values():
            part.segment = new
        new.parts = old.parts
        self._segments[new.sequence] = new
        self._let_go_of(old)
        if not new.parts:
            self._dead.append(new)

    def close(self) -> None:
        """Close the files."""
        for segment in (*self._segments.values(), *self._indexed):
            segment.close()

    def _forget(self, tenant: str, part: Part) -> None:
        self._part_count -= 1
        del part.segment.parts[tenant]
        if not part.segment.parts:
            self._dead.append(part.segment)

    def _note(self, segment: Segment, tenant: str, number: int, length: int) -> Part:
        part = segment.parts.get(tenant)
        if part is None:
            part = segment.parts[tenant] = Part(segment, number)
            self._parts.setdefault(tenant, deque()).append(part)
            self._part_count += 1
        part.last = number
        part.events += 1
        part.size += length
        return part

    def _begin(self) -> Segment:
        """Go on in a new segment; the one before is complete."""
        head_room = self._segment_bytes
        if self.size + self._segment_bytes > self._disk_bytes:
            raise DiskFullError(errno.ENOSPC, "the buffer may not take more of the disk")
        if self._files.free_bytes(self._folder) < self._segment_bytes + head_room:
            raise DiskFullError(errno.ENOSPC, "the disk has too little space left")
        self._sequence += 1
        path, salt = Segment.new_path(self._folder, self._sequence)
        try:
            descriptor = self._files.create(path, self._segment_bytes)
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFullError(error.errno, "the disk is full") from None
            raise
        self._seal()
        self._active = self._segments[self._sequence] = Segment(path, self._sequence, salt, descriptor)
        return self._active

    def _write(self, segment: Segment, batch: Batch) -> None:
        if not batch.pieces:
            return
        try:
            self._files.write(segment.descriptor, b"".join(batch.pieces), segment.end)
            self._files.sync(segment.descriptor)
        except OSError:
            # Nobody knows what is there now. It is cut off, and never written over: a new segment follows.
            self._seal()
            raise
        segment.end += batch.size
        segment.size = max(segment.size, segment.end)

    def _seal(self) -> None:
        """Write nothing more to the active segment, and give back the space it does not need."""
        segment, self._active = self._active, None
        if segment is not None:
            self._cut(segment)
            self._dead.append(segment)

    def _cut(self, segment: Segment) -> None:
        # What cannot be cut stays, as zeros or as records that were never told of.
        with contextlib.suppress(OSError):
            self._files.truncate(segment.descriptor, segment.end)
            segment.size = segment.end

    def _bring_index_up_to_date(self, segment: Segment) -> None:
        for damage, data in segment.bring_index_up_to_date():
            self._set_aside(segment, damage.offset, data)
        with self._indexing:
            # The one in use is the last one.
            self._indexed.pop(segment, None)
            self._indexed[segment] = None
            while len(self._indexed) > _INDEXES_KEPT:
                oldest = next(iter(self._indexed))
                del self._indexed[oldest]
                oldest.index = Index()

    def _let_go_of(self, segment: Segment) -> None:
        # What is deleted takes space until nobody has it open any more.
        with self._indexing:
            self._indexed.pop(segment, None)

    def _scan(self, segment: Segment, *, is_last: bool) -> Iterator[Record | Damage]:
        data = segment.read(0, segment.size)
        written = len(data.rstrip(b"\0"))
        for found in scan(segment.salt, data):
            end = found.offset + found.length
            if isinstance(found, Damage) and is_last and end >= written:
                self.torn_bytes += found.length
                break
            if isinstance(found, Damage):
                self._set_aside(segment, found.offset, data[found.offset : end])
            segment.end = end
            yield found
        self._cut(segment)

    def _set_aside(self, segment: Segment, offset: int, data: bytes) -> None:
        self.damaged_bytes += len(data)
        quarantine = self._folder / "quarantine"
        # A copy for a person to look at; without space for it, what matters goes on.
        with contextlib.suppress(OSError):
            quarantine.mkdir(exist_ok=True)
            (quarantine / f"{segment.path.stem}-{offset}.bin").write_bytes(data)


def _with_last(segments: Iterable[Segment]) -> Iterator[tuple[Segment, bool]]:
    before: Segment | None = None
    for segment in segments:
        if before is not None:
            yield before, False
        before = segment
    if before is not None:
        yield before, True
