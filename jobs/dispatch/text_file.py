"""A text file that a person names."""

from pathlib import Path

from jobs.errors import SentinelError


def read_text(file: Path) -> str:
    """Return the text of a UTF-8 file; raises SentinelError, naming file and reason, if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SentinelError(f"{file} cannot be read: {reason}.") from None
