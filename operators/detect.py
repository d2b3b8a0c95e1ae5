"""Detect: hands rows of records to the pure detection of their shard, and what it found to the streams behind.

The working arrays live here, loaded when a shard's first row comes. State is the journal of the shard
(`udfs/journal.py`): what has changed is written right before each checkpoint barrier, when an empty block comes. That
needs aligned barriers, which are Flink's default: nothing behind a barrier may be taken before it.
"""

import gc
import logging
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import OutputTag, RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction
from pyflink.datastream.state import MapState, MapStateDescriptor

from operators.control import announce, announce_refused, change, load
from operators.lines import SUMMARIES, anomaly_lines, summary_lines
from operators.log import log_from_info_on
from operators.metrics import BatchSizes, OperatorMetrics
from operators.stored import store
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

DEAD_LETTERS = OutputTag("dead-letters", KEYED_TEXT)
LATE = OutputTag("late", Types.ROW([Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())]))
SHARES = OutputTag("shares", Types.ROW([Types.INT(), Types.STRING()]))
"""What a shard contributes to windows that span shards: its part of each provider's windows, and its progress."""


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
        self._untold: dict[int, Iterator[bytes]] = {}
        self._is_settled = False
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
            yield from self._summaries(partition)
            store(shard.changes(), self._journal, self._metrics)
            self._settle()
            return
        records = read_block(block)
        findings = shard.on_records(records)
        self._tell(partition, len(records), findings)
        yield from self._outputs(findings)
        if findings.summaries:
            yield from self._summaries(partition)
            self._untold[partition] = summary_lines(chain.from_iterable(findings.summaries))
        # A minute's end makes thousands, and nobody waits for one: they go bit by bit, all before the next checkpoint.
        for lines in islice(self._untold.get(partition, ()), 1):
            yield SUMMARIES, lines

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

    def _settle(self) -> None:
        """Leave all that is loaded by the first checkpoint out of the garbage collector's rounds.

        Modules and kernels never go, and looking through them took 200 ms, every other minute.
        """
        if not self._is_settled:
            self._is_settled = True
            gc.collect()
            gc.freeze()

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

    def _summaries(self, partition: int) -> Iterator[Any]:
        """Yield the lines of a partition's summaries that have not gone yet."""
        for lines in self._untold.pop(partition, ()):
            yield SUMMARIES, lines

    def _outputs(self, findings: Findings) -> Iterator[Any]:
        if findings.anomalies or findings.watermark_ms is not None:
            times = [to_at_ms(each.timestamp) for each in findings.anomalies]
            yield anomaly_lines(findings.anomalies, max([*times, findings.watermark_ms or 0]))
        for dead_letter in findings.dead_letters:
            yield DEAD_LETTERS, Row(dead_letter.dead_letter_id, encode(dead_letter).decode())
        for key, payload in findings.late:
            yield LATE, Row(key, payload)
        for share in findings.shares:
            yield SHARES, Row(0, share)
