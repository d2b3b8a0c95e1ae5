"""Log lines: a process's log as people read it. Flink's processes write JSON, Kafka and crashes plain text."""

import os
from pathlib import Path
from typing import Final

import msgspec

_TAIL_BYTES: Final = 65_536
_LAST_WORDS: Final = 300
_KNOWN = frozenset({"@timestamp", "ecs.version", "log.level", "message", "process.thread.name", "log.logger"})
_TRACE = "error.stack_trace"


def readable(line: str) -> str:
    """Return a JSON line of a log as text: time, level, logger, message, fields, and the stack trace below it.

    What is no such line is returned as it is.
    """
    try:
        event = msgspec.json.decode(line)
        logger = event["log.logger"].rpartition(".")[2]
        text = f"{event['@timestamp']} {event['log.level']:5} {logger} - {event['message']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return line
    others = " ".join(f"{name}={value}" for name, value in event.items() if _is_a_field(name))
    trace = event.get(_TRACE)
    return text + (f" [{others}]" if others else "") + (f"\n{trace.rstrip()}" if trace else "")


def last_words(log: Path) -> str:
    """Return the last line of a log, as people read it and cut to 300 characters; empty without one."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((readable(line).partition("\n")[0][:_LAST_WORDS] for line in reversed(lines) if line.strip()), "")


def _is_a_field(name: str) -> bool:
    # An error's type and message stand in its trace; the job's id is the same in every line.
    return name not in _KNOWN and not name.startswith(("error.", "flink-"))
