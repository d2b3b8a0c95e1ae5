"""The log: one JSON object a line (Elastic Common Schema) on standard error, as that of Flink's processes."""

import logging
import sys
from typing import Final

import msgspec

from schemas.time import from_at_ms

_QUIET: Final = ("uvicorn.error", "grpc._cython.cygrpc", "asyncio")


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "@timestamp": from_at_ms(int(record.created * 1_000)),
            "log.level": record.levelname,
            "log.logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def log_as_json() -> None:
    """Send every log line of this process there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_AsJson())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
