"""Log lines: a process's log as people read it. Flink's processes write JSON, Kafka and crashes plain text."""

import msgspec

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


def _is_a_field(name: str) -> bool:
    # An error's type and message stand in its trace; the job's id is the same in every line.
    return name not in _KNOWN and not name.startswith(("error.", "flink-"))
