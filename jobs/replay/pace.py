"""Pace: records leave when their moment has come, on a clock that may run faster than the wall's."""

from collections.abc import Callable, Iterable, Iterator

from jobs.replay.stream import Record

_SHORTEST_WAIT_S = 0.001
"""Shorter waits cost more than they are worth: the record leaves at once."""


def paced(
    records: Iterable[Record],
    *,
    start_at_ms: int,
    speed_up: float,
    now_s: Callable[[], float],
    wait_s: Callable[[float], None],
) -> Iterator[Record]:
    """Yield each record `(due_ms - start_at_ms) / speed_up` after the first was asked for.

    A record whose moment has passed leaves at once: after a stall the replay catches up. `now_s` is a clock that never
    goes back, `wait_s` lets a number of seconds pass.
    """
    began_s = now_s()
    for record in records:
        left_s = (record.due_ms - start_at_ms) / 1000.0 / speed_up - (now_s() - began_s)
        if left_s >= _SHORTEST_WAIT_S:
            wait_s(left_s)
        yield record
