"""How the buffer is, in numbers."""

from msgspec import Struct


class State(Struct, frozen=True, kw_only=True):
    """How the buffer is, for metrics and health."""

    buffered: int
    memory_bytes: int
    disk_bytes: int
    oldest_age_s: float
    """For how long the oldest event has waited; infinite if an earlier process left it, 0 if there is none."""
    disk_problem: str
    """Why the last write to the disk failed; empty if it did not."""
    damaged_bytes: int
    torn_bytes: int
    recovered: int
    """Events that an earlier process had left."""
