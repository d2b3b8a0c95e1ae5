"""Everything that the log does to the disk, in one place, so that a test can let each of these steps fail."""

import os
from pathlib import Path


class Files:
    """The steps of the log on a real disk. Each may raise OSError."""

    def create(self, path: Path, size: int) -> int:
        """Create a file with `size` bytes of space, and return its descriptor."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Space that is there cannot be missing later, and a write within it changes no metadata.
            os.posix_fallocate(descriptor, 0, size)
            self.sync_folder(path.parent)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        return descriptor

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`."""
        while data:
            written = os.pwrite(descriptor, data, offset)
            data, offset = data[written:], offset + written

    def sync(self, descriptor: int) -> None:
        """Return when everything written is on the disk."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file, and give its space back."""
        os.ftruncate(descriptor, size)

    def remove(self, path: Path) -> None:
        """Delete a file; one that is gone already does not matter."""
        path.unlink(missing_ok=True)

    def replace(self, path: Path, target: Path) -> None:
        """Give a file the name of another one, which is gone then."""
        path.replace(target)
        self.sync_folder(target.parent)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in a folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, folder: Path) -> int:
        """Return the space left on the disk for this user."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize
