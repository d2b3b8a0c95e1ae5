"""Waiting for a condition, with a deadline and an eye on the processes that are to bring it about."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from jobs.errors import SentinelError
from jobs.stack.log_lines import last_words
from jobs.stack.processes import ManagedProcess, is_alive

_POLL_S: Final = 0.05


def wait_until(
    condition: Callable[[], bool], what: str, *, deadline_s: float, watched: Sequence[ManagedProcess] = ()
) -> None:
    """Return as soon as the condition holds; raise when a watched process ends or the deadline passes first."""
    give_up_at = time.monotonic() + deadline_s
    while not condition():
        for process in watched:
            if not is_alive(process):
                said = last_words(Path(process.log))
                raise SentinelError(
                    f"{process.name} ended while waiting for {what}: see its log {process.log}"
                    + (f" (the last line: {said})" if said else "")
                )
        if time.monotonic() > give_up_at:
            logs = ", ".join(process.log for process in watched)
            raise SentinelError(f"Waited {deadline_s:g} s in vain for {what}" + (f": see {logs}" if logs else ""))
        time.sleep(_POLL_S)
