"""Delays: from a planted event's place in Kafka to its anomaly's place in Kafka."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from jobs.errors import SentinelError


def delays_ms(appended_at_ms: Mapping[str, int], found: Iterable[tuple[str, int]]) -> list[int]:
    """Return the delay of every planted event that was found, in the order of their planting.

    `appended_at_ms` holds the broker's append time by id of planted event; `found` pairs of an event's id and the
    append time of an anomaly that names it. An event with several anomalies (one for each metric) counts once, by the
    earliest; others' ids are passed over.
    """
    earliest: dict[str, int] = {}
    for event_id, at_ms in found:
        if event_id in appended_at_ms:
            earliest[event_id] = min(at_ms, earliest.get(event_id, at_ms))
    return [earliest[event_id] - at_ms for event_id, at_ms in appended_at_ms.items() if event_id in earliest]


def window_delays_ms(
    windows: Iterable[tuple[int, int]],
    event_at_ms: Mapping[str, int],
    appended_at_ms: Mapping[str, int],
    bound_ms: int,
) -> list[int]:
    """Return for each anomaly of a window how long after the window's end and the bound it was appended.

    `windows` holds ends of windows in event time and the broker's append times of anomalies. How far the broker's clock
    is ahead of event time is the least by which any planted event was appended behind its time.
    """
    ahead_ms = min(at_ms - event_at_ms[event_id] for event_id, at_ms in appended_at_ms.items())
    return [at_ms - ahead_ms - end_ms - bound_ms for end_ms, at_ms in windows]


def percentile(values: Sequence[int], share: float) -> int:
    """Return the smallest of the values that at least this share of them does not exceed.

    The nearest rank, type 1 of Hyndman and Fan (1996), Sample Quantiles in Statistical Packages. Raises SentinelError
    if there are no values.
    """
    if not values:
        raise SentinelError("Nothing that was planted was found: see the logs of the TaskManagers.")
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]
