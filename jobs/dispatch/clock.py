"""The clock of dispatch."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns milliseconds since the epoch."""


def wall_clock() -> int:
    """Return the time of this machine."""
    return time.time_ns() // 1_000_000
