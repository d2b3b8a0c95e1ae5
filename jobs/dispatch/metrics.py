"""What dispatch measures of itself, by Alertmanager's names where it has one, else `sentinel_dispatch_...`."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from jobs.dispatch.engine import Engine
from schemas.alert_change import AlertState
from udfs.alerting.decision import DecisionReason
from udfs.alerting.silence import SilenceState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SUPPRESSED = {
    DecisionReason.SILENCED: "silence",
    DecisionReason.INHIBITED: "inhibition",
    DecisionReason.MUTED_BY_INTERVAL: "mute_time_interval",
    DecisionReason.OUTSIDE_ACTIVE_INTERVALS: "active_time_interval",
}


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.engine: Engine | None = None
        """Of an instance that leads."""
        counter, gauge = self._counter, self._gauge
        self.received = counter("alertmanager_alerts_received_total", "Alerts received over HTTP.", "status", "version")
        self.invalid = counter("alertmanager_alerts_invalid_total", "Alerts refused over HTTP.", "version")
        self.notifications = counter("alertmanager_notifications_total", "Notifications to be sent.", "integration")
        self.failed = counter(
            "alertmanager_notifications_failed_total", "Notifications given up.", "integration", "reason"
        )
        self.suppressed = counter(
            "alertmanager_notifications_suppressed_total", "Alerts kept back, by what keeps them.", "reason"
        )
        self.requests = counter("alertmanager_notification_requests_total", "Tries.", "integration")
        self.requests_failed = counter(
            "alertmanager_notification_requests_failed_total", "Failed tries.", "integration"
        )
        self.latency = Histogram(
            "alertmanager_notification_latency_seconds",
            "How long a try takes.",
            ["integration"],
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 15, 20),
            registry=self.registry,
        )
        self.config_ok = gauge("alertmanager_config_last_reload_successful", "Whether the last reload was successful.")
        self.config_at = gauge(
            "alertmanager_config_last_reload_success_timestamp_seconds", "When the last reload was successful."
        )
        self.config_hash = gauge("alertmanager_config_hash", "Hash of the configuration in force.")
        self.cluster = gauge("alertmanager_cluster_enabled", "Whether other instances may take over.")
        self.leads = gauge("sentinel_dispatch_leader", "Whether this instance leads.")
        self.records = counter("sentinel_dispatch_records_total", "Records read from Kafka.", "topic")
        self.dead_letters = counter("sentinel_dispatch_dead_letters_total", "Records that were refused.", "topic")
        self.decisions = counter("sentinel_dispatch_decisions_total", "Decisions, by reason.", "reason")
        self.repeated = counter(
            "sentinel_dispatch_notifications_resumed_total",
            "Tries made again because the last run ended during them: the only ones that may be heard twice.",
        )
        self.batch_seconds = Histogram(
            "sentinel_dispatch_outbox_write_seconds",
            "How long the outbox takes to write a batch.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
            registry=self.registry,
        )
        self.delay = Histogram(
            "sentinel_dispatch_delivery_seconds",
            "From the decision to notify to the receiver's answer.",
            ["integration"],
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30, 300),
            registry=self.registry,
        )
        self.registry.register(_OfTheCore(self))

    def count_decisions(self, reason: DecisionReason, number: int) -> None:
        """Count decisions of one reason, and what they suppress."""
        self.decisions.labels(reason).inc(number)
        if (name := _SUPPRESSED.get(reason)) is not None:
            self.suppressed.labels(name).inc(number)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)


class _OfTheCore(Collector):
    """What is counted when it is asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Yield alerts, silences and groups; nothing while another instance leads."""
        engine = self._metrics.engine
        if engine is None:
            return
        core, now_ms = engine.core, engine.clock()
        alerts = GaugeMetricFamily("alertmanager_alerts", "Alerts by state.", labels=["state"])
        states = [standing.state for standing in core.states.by_fingerprint.values()]
        suppressed = states.count(AlertState.SILENCED) + states.count(AlertState.INHIBITED)
        alerts.add_metric(["active"], states.count(AlertState.FIRING) + states.count(AlertState.ACKNOWLEDGED))
        alerts.add_metric(["suppressed"], suppressed)
        alerts.add_metric(["unprocessed"], 0)
        yield alerts
        silences = GaugeMetricFamily("alertmanager_silences", "Silences by state.", labels=["state"])
        found = [each.state(now_ms) for each in core.dispatcher.silences.by_id.values()]
        for state in SilenceState:
            silences.add_metric([state], found.count(state))
        yield silences
        yield GaugeMetricFamily(
            "alertmanager_dispatcher_aggregation_groups",
            "Groups of alerts.",
            value=len(list(core.dispatcher.groups)),
        )
        yield GaugeMetricFamily(
            "sentinel_dispatch_notifications_open", "Notifications under way.", value=len(core.dispatcher.pending)
        )
        yield GaugeMetricFamily(
            "sentinel_dispatch_outbox_refuses",
            "Whether the outbox takes no changes now.",
            value=1 if engine.store_refuses else 0,
        )
