"""Event time of the anomalies: stamped from the records, so that incidents close by event time and not by the clock."""

from typing import Final

from pyflink.common import Duration, WatermarkStrategy
from pyflink.datastream import DataStream

from operators.shards import java_class

BOUND_MS = 5_000
"""Anomalies of a minute's window come later than those of a second's; correlation accepts items behind it anyway."""
IDLE_MS = 30_000
_TIME: Final = 1
"""Field of `operators.lines.TIMED_LINES`."""


def with_event_time(anomalies: DataStream) -> DataStream:
    """Return the rows with event time and watermarks, both taken in the JVM."""
    strategy = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(BOUND_MS)).with_idleness(
        Duration.of_millis(IDLE_MS)
    )
    timed = strategy._j_watermark_strategy.withTimestampAssigner(java_class("TimeOfRow")(_TIME))  # noqa: SLF001 - as below
    rows = anomalies._j_data_stream.assignTimestampsAndWatermarks(timed)  # noqa: SLF001 - the Java stream is not public
    return DataStream(rows).uid("anomaly-time")
