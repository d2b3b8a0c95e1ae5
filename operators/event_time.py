"""Event time of the anomalies: stamped from the records, so that incidents close by event time and not by the clock."""

from pyflink.common import Duration, Row, WatermarkStrategy
from pyflink.common.watermark_strategy import TimestampAssigner
from pyflink.datastream import DataStream

BOUND_MS = 5_000
"""Anomalies of a minute's window come later than those of a second's; correlation accepts items behind it anyway."""
IDLE_MS = 30_000


class RecordTime(TimestampAssigner):
    """Takes the event time from the fourth field of an anomaly row."""

    def extract_timestamp(self, value: Row, record_timestamp: int) -> int:  # noqa: ARG002 - Flink's signature
        """Return milliseconds since the epoch."""
        return int(value[3])


def with_event_time(anomalies: DataStream) -> DataStream:
    """Return the rows with event time and watermarks."""
    strategy = (
        WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(BOUND_MS))
        .with_idleness(Duration.of_millis(IDLE_MS))
        .with_timestamp_assigner(RecordTime())
    )
    return anomalies.assign_timestamps_and_watermarks(strategy).uid("anomaly-time")
