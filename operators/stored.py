"""Stored: hands what a journal has to write to Flink's map state."""

from collections.abc import Iterable

from pyflink.datastream.state import MapState

from operators.metrics import OperatorMetrics


def store(changes: Iterable[tuple[str, bytes | None]], journal: MapState, metrics: OperatorMetrics) -> None:
    """Put entries, and remove those without bytes."""
    for key, data in changes:
        if data is None:
            journal.remove(key)
        else:
            journal.put(key, data)
            metrics.count("state_written_bytes", len(data))
