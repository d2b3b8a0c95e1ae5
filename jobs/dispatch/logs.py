"""Log lines of dispatch: JSON as the other processes write it, or logfmt as Alertmanager does."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_LEVELS: Final = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "CRITICAL": "error"}


class JsonLines(logging.Formatter):
    """One object per line, with the names of the Elastic Common Schema."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "@timestamp": _at(record),
            "log.level": record.levelname,
            "log.logger": record.name,
            "process.thread.name": record.threadName,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Logfmt(logging.Formatter):
    """`ts=... level=info msg="..."`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields = "".join(f" {name}={value}" for name, value in getattr(record, "fields", {}).items())
        message = json.dumps(record.getMessage(), ensure_ascii=False)
        line = f"ts={_at(record)} level={_LEVELS[record.levelname]} component={record.name} msg={message}{fields}"
        if record.exc_info:
            line += f" err={json.dumps(self.formatException(record.exc_info))}"
        return line


def set_up(form: logging.Formatter, level: str) -> None:
    """Write the lines of the whole process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(form)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiohttp", "httpx", "httpcore", "uvicorn", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
