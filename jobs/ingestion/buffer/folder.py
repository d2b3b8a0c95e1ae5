"""The folder of a buffer belongs to one process at a time."""

import fcntl
import os
from pathlib import Path

from jobs.errors import SentinelError


def hold(folder: Path) -> int:
    """Create the folder and hold it for this process. Raises SentinelError if that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SentinelError(f"Cannot use the folder {folder} for the buffer: {error.strerror}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise SentinelError(f"Another process uses the buffer {folder}: give each its own folder.") from None
    return descriptor
