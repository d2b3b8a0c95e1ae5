"""A disk that fails and a clock that is told the time."""

from pathlib import Path

from jobs.ingestion.buffer.files import Files


class Clock:
    """Time as it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now_s


class FailingFiles(Files):
    """A disk on which one step fails: before anything happens, or half way."""

    def __init__(self, step: int, failure: BaseException) -> None:
        self.steps_left = step
        self.failure = failure

    def _fails(self) -> bool:
        self.steps_left -= 1
        return self.steps_left == 0

    def create(self, path: Path, size: int) -> int:
        """Create a file."""
        if self._fails():
            raise self.failure
        descriptor = super().create(path, size)
        if self._fails():
            raise self.failure
        return descriptor

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write at a place, or half of it."""
        if self._fails():
            super().write(descriptor, data[: len(data) // 2], offset)
            raise self.failure
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        """Return when it is on the disk."""
        if self._fails():
            raise self.failure
        super().sync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file."""
        if self._fails():
            raise self.failure
        super().truncate(descriptor, size)

    def remove(self, path: Path) -> None:
        """Delete the file."""
        if self._fails():
            raise self.failure
        super().remove(path)


class KilledError(BaseException):
    """The process dies here."""
