"""Detect: hands rows of records to the pure detection of their shard, and what it found to the streams behind.

State is one bytes value per key of the shard (`udfs/series_state.py`); the working arrays live here, are loaded
when a shard's first row comes, and everything a row touched is written before the row ends.
"""

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import OutputTag, RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction
from pyflink.datastream.state import MapState, MapStateDescriptor

from operators.control import change, load
from schemas.anomaly import Anomaly
from schemas.codec import encode
from schemas.time import to_at_ms
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.findings import Findings
from udfs.settings import DetectionSettings

KEYED_TEXT = Types.ROW([Types.STRING(), Types.STRING()])
"""A Kafka key and a JSON value."""
ANOMALY_ROW = Types.ROW([Types.STRING(), Types.STRING(), Types.STRING(), Types.LONG()])
"""Tenant, anomaly as JSON, provider, event time in ms. Empty texts: event time has come so far, no more."""
KEYED_BYTES = Types.ROW([Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())])

DEAD_LETTERS = OutputTag("dead-letters", KEYED_TEXT)
LATE = OutputTag("late", KEYED_BYTES)
SUMMARIES = OutputTag("summaries", KEYED_TEXT)
SHARES = OutputTag("shares", Types.ROW([Types.INT(), Types.STRING()]))
"""What a shard contributes to windows that span shards: its part of each provider's windows, and its progress."""


def anomaly_row(anomaly: Anomaly) -> Row:
    """Return an anomaly as it travels between operators."""
    provider = anomaly.affected_entity.provider
    return Row(anomaly.tenant_id or "", encode(anomaly).decode(), provider, to_at_ms(anomaly.timestamp))


def progress_row(at_ms: int) -> Row:
    """Return the row that moves event time and nothing else."""
    return Row("", "", "", at_ms)


class Detect(KeyedBroadcastProcessFunction):
    """Runs `ShardDetection` for every shard of a subtask; rules and models arrive by broadcast."""

    def __init__(self, settings: DetectionSettings, snapshot: dict[str, str]) -> None:
        """Take the settings and the rules and models that hold from the first record on, by Kafka key."""
        self._settings = settings
        self._snapshot = snapshot

    def open(self, runtime_context: RuntimeContext) -> None:
        """Acquire the state; shards are built when their first row comes."""
        self._series: MapState = runtime_context.get_map_state(
            MapStateDescriptor("series", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._control = Control(self._snapshot, self._settings.detectors)
        self._control_loaded = False
        self._shards: dict[int, ShardDetection] = {}
        metrics = runtime_context.get_metrics_group()
        self._records = metrics.counter("sentinel_records")
        self._dead_letters = metrics.counter("sentinel_dead_letters")
        self._late = metrics.counter("sentinel_late")
        self._anomalies = metrics.counter("sentinel_anomalies")
        self._batch_size = metrics.distribution("sentinel_batch_records")

    def process_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Detect on one row `(partition, values, offsets, taken)`."""
        if not self._control_loaded:
            load(self._control, ctx)
            self._control_loaded = True
        partition, values, offsets, taken = value
        shard = self._shards.get(partition)
        if shard is None:
            shard = ShardDetection(self._settings, self._control, partition, self._series.items())
            self._shards[partition] = shard
        findings = shard.on_records(values, offsets, taken)
        for key, data in shard.changes():
            if data is None:
                self._series.remove(key)
            else:
                self._series.put(key, data)
        self._records.inc(len(values))
        self._batch_size.update(len(values))
        yield from self._outputs(findings)

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Any]:
        """Take a change of a rule or model; null removes it. Every subtask says why it is refused, under one id."""
        for dead_letter in change(self._control, value, ctx):
            yield DEAD_LETTERS, Row(dead_letter.dead_letter_id, encode(dead_letter).decode())
            self._dead_letters.inc()

    def _outputs(self, findings: Findings) -> Iterator[Any]:
        for anomaly in findings.anomalies:
            yield anomaly_row(anomaly)
        for dead_letter in findings.dead_letters:
            yield DEAD_LETTERS, Row(dead_letter.dead_letter_id, encode(dead_letter).decode())
        for key, payload in findings.late:
            yield LATE, Row(key, payload)
        for summary in findings.summaries:
            yield SUMMARIES, Row(summary.entity.id, encode(summary).decode())
        for share in findings.shares:
            yield SHARES, Row(0, share)
        if findings.watermark_ms is not None:
            yield progress_row(findings.watermark_ms)
        self._dead_letters.inc(len(findings.dead_letters))
        self._late.inc(len(findings.late))
        self._anomalies.inc(len(findings.anomalies))
