"""Metrics: what the operators of the job count, as metrics of Flink under the group `sentinel`.

Everything is counted per batch or per thing found, never per event. Counters with labels are made when they are first
needed; the values of labels are of closed sets, or ids of configured detectors and published rules.
"""

from collections.abc import Iterable
from typing import Any, Final

from pyflink.datastream import RuntimeContext

from schemas.anomaly import Anomaly
from schemas.dead_letter import DeadLetter
from schemas.incident import Incident

GROUP: Final = "sentinel"
BATCH_BOUNDS: Final = (1, 10, 100, 1_000, 5_000)
"""Upper bounds of the histogram of batch sizes; 5,000 is what a fetch may bring at most."""


class OperatorMetrics:
    """The metrics of one operator's subtask."""

    def __init__(self, context: RuntimeContext) -> None:
        """Take the context that the operator was opened with."""
        self._group = context.get_metrics_group().add_group(GROUP)
        self._labelled: dict[tuple[str, ...], Any] = {}
        self._set: dict[tuple[str, ...], Any] = {}

    def count(self, name: str, number: int = 1, **labels: str) -> None:
        """Add to a counter; nothing is created for a number of 0."""
        if not number:
            return
        key = (name, *labels.values())
        counter = self._labelled.get(key)
        if counter is None:
            counter = self._labelled[key] = self._labelled_group(labels).counter(name)
        counter.inc(number)

    def set(self, name: str, value: int, **labels: str) -> None:
        """Set a gauge.

        In thread mode a `distribution` of PyFlink is no distribution: it holds the last value, in the JVM. That is the
        gauge wanted here. PyFlink's own `gauge` would call Python from the reporter's thread.
        """
        key = (name, *labels.values())
        gauge = self._set.get(key)
        if gauge is None:
            gauge = self._set[key] = self._labelled_group(labels).distribution(name)
        gauge.update(value)

    def count_anomalies(self, anomalies: Iterable[Anomaly]) -> None:
        """Count anomalies by detector and severity."""
        for each in anomalies:
            self.count("anomalies", detector=each.detector_id, severity=each.severity.value)

    def count_dead_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Count refused records by reason."""
        for each in letters:
            self.count("dead_letters", reason=each.reason.value)

    def count_incident(self, incident: Incident) -> None:
        """Count one state of an incident: its first, a later one, or its last."""
        change = "updated"
        if incident.revision == 1:
            change = "opened"
        elif incident.closed_at is not None:
            change = "closed"
        self.count("incidents", change=change)

    def _labelled_group(self, labels: dict[str, str]) -> Any:
        group = self._group
        for name, value in labels.items():
            group = group.add_group(name, value)
        return group


class BatchSizes:
    """The distribution of batch sizes, as the cumulative buckets that Prometheus computes quantiles from."""

    def __init__(self, metrics: OperatorMetrics) -> None:
        """Begin at no batch."""
        self._metrics = metrics

    def add(self, records: int) -> None:
        """Count one batch."""
        self._metrics.count("batch_records_sum", records)
        self._metrics.count("batch_records_count")
        for bound in BATCH_BOUNDS:
            if records <= bound:
                self._metrics.count("batch_records_bucket", le=str(bound))
        self._metrics.count("batch_records_bucket", le="+Inf")
