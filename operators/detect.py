"""Detect: hands rows of records to the pure detection of their shard, and what it found to the streams behind.

The working arrays live here, loaded when a shard's first row comes. State is the journal of the shard
(`udfs/journal.py`): what has changed is written right before each checkpoint barrier, when an empty block comes. That
needs aligned barriers, which are Flink's default: nothing behind a barrier may be taken before it.
"""

import logging
from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import OutputTag, RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction
from pyflink.datastream.state import MapState, MapStateDescriptor

from operators.control import announce, announce_refused, change, load
from operators.lines import SUMMARIES, summary_lines
from operators.log import log_from_info_on
from operators.metrics import BatchSizes, OperatorMetrics
from operators.stored import store
from schemas.anomaly import Anomaly
from schemas.codec import encode
from schemas.time import to_at_ms
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.findings import Findings
from udfs.record_block import read_block
from udfs.settings import DetectionSettings

_LOG = logging.getLogger(__name__)

KEYED_TEXT = Types.ROW([Types.STRING(), Types.STRING()])
"""A Kafka key and a JSON value."""
ANOMALY_ROW = Types.ROW([Types.STRING(), Types.STRING(), Types.STRING(), Types.LONG()])
"""Tenant, anomaly as JSON, provider, event time in ms. Empty texts: event time has come so far, no more."""

DEAD_LETTERS = OutputTag("dead-letters", KEYED_TEXT)
LATE = OutputTag("late", Types.ROW([Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())]))
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
        self._journal: MapState = runtime_context.get_map_state(
            MapStateDescriptor("journal", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._control = Control(self._snapshot, self._settings.detectors)
        self._control_loaded = False
        self._shards: dict[int, ShardDetection] = {}
        self._metrics = OperatorMetrics(runtime_context)
        self._batch_sizes = BatchSizes(self._metrics)
        log_from_info_on()
        control = self._control
        announce_refused(control.refused, self._metrics)
        _LOG.info(
            "detection begins: %d detectors, %d rules, %d models, %d partitions",
            len(self._settings.detectors),
            len(control.rules),
            len(control.models),
            self._settings.partitions,
        )

    def process_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Detect on one row of `operators.shards.ROW_TYPE`, or store what has changed."""
        if not self._control_loaded:
            load(self._control, ctx)
            self._control_loaded = True
            self._tell_in_force()
        partition, block = value
        shard = self._shards.get(partition)
        if shard is None:
            shard = self._shards[partition] = self._begin(partition)
        if not block:
            store(shard.changes(), self._journal, self._metrics)
            return
        records = read_block(block)
        findings = shard.on_records(records)
        self._tell(partition, len(records), findings)
        yield from self._outputs(findings)

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Any]:
        """Take a change of a rule or model; null removes it. Every subtask says why it is refused, under one id."""
        refused = change(self._control, value, ctx)
        announce(value, refused, self._metrics)
        self._tell_in_force()
        for dead_letter in refused:
            yield DEAD_LETTERS, Row(dead_letter.dead_letter_id, encode(dead_letter).decode())

    def _begin(self, partition: int) -> ShardDetection:
        shard = ShardDetection(self._settings, self._control, partition, self._journal.items())
        _LOG.info("shard begins: partition %d, %d series restored", partition, shard.series)
        return shard

    def _tell_in_force(self) -> None:
        self._metrics.set("rules_in_force", len(self._control.rules))
        self._metrics.set("models_in_force", len(self._control.models))

    def _tell(self, partition: int, records: int, findings: Findings) -> None:
        metrics = self._metrics
        metrics.count("records", records)
        self._batch_sizes.add(records)
        metrics.count("late", len(findings.late))
        metrics.count("repeats", findings.repeats)
        metrics.count_dead_letters(findings.dead_letters)
        metrics.count_anomalies(findings.anomalies)
        if findings.watermark_ms is not None:
            metrics.set("watermark_ms", findings.watermark_ms, partition=str(partition))
            metrics.set("state_bytes", sum(shard.stored_bytes for shard in self._shards.values()))
            metrics.set("series", sum(shard.series for shard in self._shards.values()))

    def _outputs(self, findings: Findings) -> Iterator[Any]:
        for anomaly in findings.anomalies:
            yield anomaly_row(anomaly)
        for dead_letter in findings.dead_letters:
            yield DEAD_LETTERS, Row(dead_letter.dead_letter_id, encode(dead_letter).decode())
        for key, payload in findings.late:
            yield LATE, Row(key, payload)
        for lines in summary_lines(findings.summaries):
            yield SUMMARIES, lines
        for share in findings.shares:
            yield SHARES, Row(0, share)
        if findings.watermark_ms is not None:
            yield progress_row(findings.watermark_ms)
