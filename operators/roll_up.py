"""Roll up: adds the shards' shares of windows that span shards and detects on the sums."""

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor

from operators.detect import SUMMARIES, anomaly_row
from schemas.codec import encode
from udfs.settings import DetectionSettings
from udfs.spanning import SpanningDetection


class RollUp(KeyedProcessFunction):
    """Runs `SpanningDetection` on the shares of all shards."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Take the settings."""
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Acquire the state."""
        self._series: MapState = runtime_context.get_map_state(
            MapStateDescriptor("series", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._detection: SpanningDetection | None = None

    def process_element(self, value: str, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Take one share, JSON."""
        if self._detection is None:
            self._detection = SpanningDetection(self._settings, self._series.items())
        findings = self._detection.on_share(value, ctx.timer_service().current_processing_time())
        for key, data in self._detection.changes():
            if data is None:
                self._series.remove(key)
            else:
                self._series.put(key, data)
        for anomaly in findings.anomalies:
            yield anomaly_row(anomaly)
        for summary in findings.summaries:
            yield SUMMARIES, Row(summary.entity.id, encode(summary).decode())
