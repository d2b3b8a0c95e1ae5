"""Roll up: adds the shards' shares of windows that span shards and detects on the sums."""

import logging
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction
from pyflink.datastream.state import MapState, MapStateDescriptor

from operators.control import change, load
from operators.lines import SUMMARIES, anomaly_lines, summary_lines
from operators.log import log_from_info_on
from operators.metrics import OperatorMetrics
from operators.stored import store
from schemas.time import to_at_ms
from udfs.control import Control
from udfs.settings import DetectionSettings
from udfs.spanning import SpanningDetection

_LOG = logging.getLogger(__name__)


class RollUp(KeyedBroadcastProcessFunction):
    """Runs `SpanningDetection` on the shares of all shards; rules and models arrive by broadcast."""

    def __init__(self, settings: DetectionSettings, snapshot: dict[str, str]) -> None:
        """Take the settings and the rules and models that hold from the first record on, by Kafka key."""
        self._settings = settings
        self._snapshot = snapshot

    def open(self, runtime_context: RuntimeContext) -> None:
        """Acquire the state."""
        self._journal: MapState = runtime_context.get_map_state(
            MapStateDescriptor("journal", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._control = Control(self._snapshot, self._settings.detectors)
        self._metrics = OperatorMetrics(runtime_context)
        log_from_info_on()
        self._detection: SpanningDetection | None = None

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Any]:
        """Take a change of a rule or model; `Detect` says why it is refused, if it is."""
        change(self._control, value, ctx)
        yield from ()

    def process_element(self, value: str, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Take one share, JSON."""
        if self._detection is None:
            load(self._control, ctx)
            self._detection = SpanningDetection(self._settings, self._control, self._journal.items())
            _LOG.info("roll-up begins: %d series restored", self._detection.series)
        # The context of a broadcast function has no processing time in thread mode (Flink 2.3.0).
        findings = self._detection.on_share(value, time.time_ns() // 1_000_000)
        store(self._detection.changes(), self._journal, self._metrics)
        self._metrics.count("shares")
        self._metrics.count("split_applications", len(findings.split))
        for each in findings.split:
            _LOG.warning(
                "split application: %s of tenant %s is in partitions %d and %d: two baselines, each of a part "
                "of its calls; give its producers the key and the partitioner of docs/contracts.md",
                each.application,
                each.tenant,
                each.first,
                each.second,
            )
        self._metrics.count_anomalies(findings.anomalies)
        if findings.summaries or findings.anomalies:
            self._metrics.set("state_bytes", self._detection.stored_bytes)
            self._metrics.set("series", self._detection.series)
        if findings.anomalies:
            yield anomaly_lines(findings.anomalies, max(to_at_ms(each.timestamp) for each in findings.anomalies))
        for lines in summary_lines(chain.from_iterable(findings.summaries)):
            yield SUMMARIES, lines
