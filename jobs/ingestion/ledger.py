"""The loss ledger: counters of every tenant in a file mapped into memory, so that a killed process loses none of them.

received = delivered + buffered + rejected{reason} + dropped{reason}, at every instant, per tenant and in sum. The file
is made of rows of 2 kB: 128 signed 64-bit numbers of the machine's own byte order, then the tenant's name in UTF-8. The
first row identifies the file. Space is allocated before it is used, so a full disk does not stop the counting.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from zlib import crc32

from jobs.errors import SentinelError
from schemas.dead_letter import RejectReason
from udfs.ingestion.account import Account, Drop, Turned

_MAGIC: Final = b"sentinel ledger 1\n"
_ROW_BYTES: Final = 2_048
_ROWS_MAPPED: Final = 64
_NAME_AT: Final = 1_024
_NUMBERS: Final = 128

_NAME_BYTES, _NAME_CHECK, _RECEIVED, _DELIVERED, _LAST = range(5)
_SETTLED: Final = 8
"""Twice a number and its check; the newer one is the greater one."""
_GIVEN_UP: Final = 12
"""A range and its check."""
# The order of the reasons is that of their declaration: new ones are added at the end of their enumeration.
_REJECTED: Final[dict[RejectReason | Turned, int]] = {
    **{reason: 16 + number for number, reason in enumerate(RejectReason)},
    **{reason: 48 + number for number, reason in enumerate(Turned)},
}
_DROPPED: Final[dict[Drop, int]] = {reason: 80 + number for number, reason in enumerate(Drop)}
UNLISTED: Final = ""
"""Stands for the tenants for which there is no row."""
_CHECK: Final = 0x5E47_1DE1_AC0E_55ED


class Row:
    """The counters of one tenant. Not locked: whoever changes them holds the lock of the buffer."""

    __slots__ = ("_numbers", "tenant")

    def __init__(self, tenant: str, numbers: memoryview) -> None:
        self.tenant = tenant
        self._numbers = numbers

    def received(self, events: int) -> None:
        """Count events that came in and are to be delivered."""
        self._numbers[_RECEIVED] += events

    def rejected(self, reason: RejectReason | Turned, events: int) -> None:
        """Count events that came in and were not taken."""
        self._numbers[_REJECTED[reason]] += events
        self._numbers[_RECEIVED] += events

    def delivered(self, events: int) -> None:
        """Count events that arrived where they were to be delivered."""
        self._numbers[_DELIVERED] += events

    def dropped(self, reason: Drop, events: int) -> None:
        """Count events that were taken and will not be delivered."""
        self._numbers[_DROPPED[reason]] += events

    @property
    def is_used(self) -> bool:
        """Whether an event was ever counted."""
        return self._numbers[_RECEIVED] != 0

    @property
    def last(self) -> int:
        """The number of the newest event taken; events of a tenant are numbered from 1 in their order."""
        return int(self._numbers[_LAST])

    @last.setter
    def last(self, number: int) -> None:
        self._numbers[_LAST] = number

    @property
    def settled(self) -> int:
        """All events up to this number were delivered or dropped; 0 if that is unknown."""
        both = (self._numbers[_SETTLED : _SETTLED + 2], self._numbers[_SETTLED + 2 : _SETTLED + 4])
        return max((int(pair[0]) for pair in both if pair[0] ^ _CHECK == pair[1]), default=0)

    @settled.setter
    def settled(self, number: int) -> None:
        # Two places in turn: whichever of these stores is the last one before a crash, one place is whole.
        for place in (_SETTLED, _SETTLED + 2):
            self._numbers[place] = number
            self._numbers[place + 1] = number ^ _CHECK

    @property
    def given_up(self) -> tuple[int, int]:
        """Events with numbers above the first one up to the second one were dropped before their turn."""
        after, last, check = self._numbers[_GIVEN_UP : _GIVEN_UP + 3].tolist()
        return (after, last) if after ^ last ^ _CHECK == check else (0, 0)

    def give_up(self, after: int, last: int) -> None:
        """Note that events were dropped although some before them are not settled.

        One range is remembered: what follows on it widens it. What is not remembered may come again after a crash.
        """
        before = self.given_up
        if before[1] > self.settled:
            if after > before[1]:
                return
            after = before[0]
        self._numbers[_GIVEN_UP] = after
        self._numbers[_GIVEN_UP + 1] = last
        self._numbers[_GIVEN_UP + 2] = after ^ last ^ _CHECK

    def is_gone(self, number: int) -> bool:
        """Return whether the event of this number was delivered or dropped, as far as it is known."""
        after, last = self.given_up
        return number <= self.settled or after < number <= last

    def account(self, buffered: int) -> Account:
        """Return the counters together with the number of events that the buffer holds."""
        numbers = self._numbers.tolist()
        return Account(
            received=numbers[_RECEIVED],
            delivered=numbers[_DELIVERED],
            buffered=buffered,
            rejected={reason: numbers[column] for reason, column in _REJECTED.items() if numbers[column]},
            dropped={reason: numbers[column] for reason, column in _DROPPED.items() if numbers[column]},
        )

    def reconcile(self, buffered: int, damaged: int) -> None:
        """Make the account balance after a crash, when `buffered` events were found.

        What was taken and is neither settled nor found was in memory alone: it counts as dropped by the crash, or as
        damaged as far as records of it were found that are. If more is found than was counted (the machine lost power,
        and the ledger is older than the log), it was received.
        """
        # New events must not have numbers that count as settled.
        self.last = max(self.last, self.settled)
        missing = self.account(buffered).unaccounted
        if missing < 0:
            self._numbers[_RECEIVED] -= missing
            return
        damaged = min(damaged, missing)
        self.dropped(Drop.DAMAGED, damaged)
        self.dropped(Drop.CRASH, missing - damaged)

    def release(self) -> None:
        """Let go of the mapped memory."""
        self._numbers.release()


class Ledger:
    """The rows of all tenants, in one file."""

    def __init__(self, path: Path, tenants_max: int) -> None:
        """Open the file or begin a new one; a damaged one is set aside as `.damaged`.

        Raises SentinelError if the file can be neither read nor written.
        """
        self._path = path
        self._rows_max = tenants_max + 2
        self._rows: dict[str, Row] = {}
        self._maps: list[mmap.mmap] = []
        self._used = 1
        self.set_aside = False
        """Whether the file was damaged, so that positions and counters begin anew."""
        try:
            self._open()
        except OSError as error:
            raise SentinelError(f"Cannot keep the ledger {path}: {error.strerror}.") from None
        self.row(UNLISTED)

    def row(self, tenant: str) -> Row | None:
        """Return the tenant's row, a new one if there is none; None if the ledger is full or the disk is."""
        row = self._rows.get(tenant)
        if row is not None:
            return row
        name = tenant.encode()
        if self._used >= self._rows_max or len(name) > _ROW_BYTES - _NAME_AT:
            return None
        if self._used >= len(self._maps) * _ROWS_MAPPED:
            try:
                self._map_more()
            except OSError:
                return None
        block, start = self._place(self._used)
        block[start + _NAME_AT : start + _NAME_AT + len(name)] = name
        numbers = self._numbers(self._used)
        numbers[_NAME_CHECK] = crc32(name)
        # The last step: until then the row is free. No row has a 0 here, although a name may be empty.
        numbers[_NAME_BYTES] = len(name) + 1
        self._used += 1
        row = self._rows[tenant] = Row(tenant, numbers)
        return row

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    @property
    def unlisted(self) -> Row:
        """Counts the events of tenants for which there is no row."""
        return self._rows[UNLISTED]

    def flush(self) -> None:
        """Bring the counters to the disk, for the case that the machine loses power."""
        # Other threads go on meanwhile, as they would not with `mmap.flush`.
        os.fdatasync(self._file)

    def close(self) -> None:
        """Flush and close the file."""
        for row in self._rows.values():
            row.release()
        for block in self._maps:
            block.close()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        existing = self._path.exists()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        blocks = os.fstat(self._file).st_size // (_ROW_BYTES * _ROWS_MAPPED)
        begun = os.pread(self._file, len(_MAGIC), 0)
        if blocks and begun == _MAGIC:
            for _ in range(blocks):
                self._map_more()
            self._read_rows()
            return
        if existing and os.fstat(self._file).st_size:
            os.close(self._file)
            self._path.replace(self._path.with_suffix(".damaged"))
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.set_aside = True
        self._map_more()
        # The last step: a file without it was never used.
        self._maps[0][: len(_MAGIC)] = _MAGIC
        os.fsync(self._file)

    def _read_rows(self) -> None:
        for number in range(1, len(self._maps) * _ROWS_MAPPED):
            numbers = self._numbers(number)
            length = numbers[_NAME_BYTES]
            if not length:
                self._used = number
                return
            block, start = self._place(number)
            name = block[start + _NAME_AT : start + _NAME_AT + min(length - 1, _ROW_BYTES - _NAME_AT)]
            if crc32(name) == numbers[_NAME_CHECK]:
                tenant = name.decode(errors="replace")
                self._rows[tenant] = Row(tenant, numbers)
        self._used = len(self._maps) * _ROWS_MAPPED

    def _map_more(self) -> None:
        size = _ROW_BYTES * _ROWS_MAPPED
        start = len(self._maps) * size
        os.posix_fallocate(self._file, start, size)
        self._maps.append(mmap.mmap(self._file, size, offset=start))

    def _place(self, row: int) -> tuple[mmap.mmap, int]:
        return self._maps[row // _ROWS_MAPPED], row % _ROWS_MAPPED * _ROW_BYTES

    def _numbers(self, row: int) -> memoryview:
        block, start = self._place(row)
        return memoryview(block)[start : start + _NUMBERS * 8].cast("q")
