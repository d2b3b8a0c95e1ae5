"""Metrics of requests and of what is in them, in a registry of its own (Prometheus)."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from udfs.normalise.normalised import Normalised

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class RequestMetrics:
    """What ingestion counts besides the ledger. Labels are from closed sets; no tenant is among them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sentinel_ingestion_requests",
            "Requests by way in and by what became of them.",
            ("way", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sentinel_ingestion_request_seconds",
            "From the head of a request to its answer.",
            ("way",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._events = Counter(
            "sentinel_ingestion_events", "Events normalised, before limits and buffer.", registry=self.registry
        )
        self._rejected = Counter(
            "sentinel_ingestion_rejected_items",
            "Items that cannot become events, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self._ignored = Counter(
            "sentinel_ingestion_ignored_items",
            "Items in order that are no telemetry of language models, by why.",
            ("reason",),
            registry=self.registry,
        )
        self._fallbacks = Counter(
            "sentinel_ingestion_mapping_fallback",
            "Fields that were filled from another name than today's, by mapping table.",
            ("field", "table"),
            registry=self.registry,
        )

    def answered(self, way: str, outcome: str, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(way, outcome).inc()
        self._seconds.labels(way).observe(seconds)

    def normalised(self, result: Normalised) -> None:
        """Count what became of the items of a request."""
        if result.events:
            self._events.inc(len(result.events))
        for rejection in result.rejected:
            self._rejected.labels(rejection.reason.value).inc()
        for reason, count in result.ignored.items():
            self._ignored.labels(reason).inc(count)
        for fallback, count in result.fallbacks.items():
            self._fallbacks.labels(fallback.field, fallback.table).inc(count)

    def counter(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Counter:
        """Return a counter of some other part."""
        return Counter(name, help_text, labels, registry=self.registry)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
