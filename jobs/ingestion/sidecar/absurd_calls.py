"""Absurd calls: written to a file beside the buffer, to the log and counted, at once and without a gateway."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from jobs.ingestion.request_metrics import RequestMetrics
from schemas.telemetry import TelemetryEvent
from udfs.ingestion.absurd import Thresholds, absurdities

_FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Then the file is kept as `.1` and a new one begun."""
_log: Final = logging.getLogger(__name__)


class AbsurdCalls:
    """Looks at every event that is about to be taken. The detection job looks again, with baselines."""

    def __init__(self, thresholds: Thresholds, path: Path, metrics: RequestMetrics) -> None:
        self._thresholds = thresholds
        self._path = path
        self._counter = metrics.counter(
            "sentinel_ingestion_absurd_calls", "Calls beyond a threshold of the sidecar, by metric.", ("metric",)
        )

    def look_at(self, events: Sequence[TelemetryEvent]) -> None:
        """Tell the absurd ones."""
        for event in events:
            for found in absurdities(event, self._thresholds):
                self._counter.labels(found.metric).inc()
                line = {
                    "event_id": event.event_id,
                    "timestamp": event.timestamp,
                    "application_id": event.application_id,
                    "provider": event.data.provider,
                    "model": event.data.model,
                    "metric": found.metric,
                    "value": found.value,
                    "threshold": found.threshold,
                }
                _log.warning("absurd call: %s", msgspec.json.encode(line).decode())
                self._write(msgspec.json.encode(line))

    def _write(self, line: bytes) -> None:
        try:
            if self._path.exists() and self._path.stat().st_size > _FILE_BYTES_MAX:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            with self._path.open("ab") as file:
                file.write(line + b"\n")
        except OSError as problem:
            # The log has it, and telemetry is not to wait for a full disk.
            _log.warning("cannot write %s: %s", self._path, problem.strerror)
