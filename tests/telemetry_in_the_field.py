"""Recorded telemetry of instrumentations in the field, from files of plain values, as OTLP messages and as events.

Each file of `tests/golden/normalise` cites where its content is published, and holds what was sent and exactly what
comes of it. `python -m tests.telemetry_in_the_field` writes the results anew: read the difference before you keep it.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric, ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from jobs.ingestion.prices import SHIPPED, read_file
from tests.normalising import context
from tests.otlp import END_NS, any_value, key_values, span
from udfs.normalise.logs import events_of_logs
from udfs.normalise.metrics import events_of_metrics
from udfs.normalise.normalised import Normalised
from udfs.normalise.spans import events_of_spans
from udfs.normalise.streams import Streams
from udfs.normalise.wrappers import Wrappers
from udfs.prices.table import PriceTable
from udfs.text.judge import KeywordRule

FILES = Path(__file__).parent / "golden" / "normalise"
STARTED_NS = END_NS - 60_000_000_000
RULES = (KeywordRule(category="prompt_injection", phrases=("ignore all previous instructions",)),)


def results(path: Path, prices: PriceTable) -> dict[str, Any]:
    """Return what comes of a file's telemetry, as plain values."""
    recorded = json.loads(path.read_text())
    known = context(prices, text_rules=RULES)
    resource = key_values(recorded["resource"])
    requests: list[Normalised] = []
    if path.parent.name == "spans":
        spans = ResourceSpans()
        spans.resource.attributes.extend(resource)
        spans.scope_spans.add().spans.extend(map(_span, recorded["spans"]))
        requests = [events_of_spans([spans], known, Wrappers())]
    elif path.parent.name == "logs":
        logs = ResourceLogs()
        logs.resource.attributes.extend(resource)
        logs.scope_logs.add().log_records.extend(map(_log_record, recorded["records"]))
        requests = [events_of_logs([logs], known)]
    else:
        streams = Streams(began_at_ms=STARTED_NS // 1_000_000 - 1)
        for number, export in enumerate(recorded["exports"]):
            metrics = ResourceMetrics()
            metrics.resource.attributes.extend(resource)
            metrics.scope_metrics.add().metrics.extend(_metric(each, number) for each in export)
            found = events_of_metrics([metrics], known, streams)
            streams.keep(found.advanced)
            requests.append(found)
    return {
        "events": [msgspec.to_builtins(event) for each in requests for event in each.events],
        "rejected": [msgspec.to_builtins(item) for each in requests for item in each.rejected],
        "ignored": dict(sum((each.ignored for each in requests), start=type(requests[0].ignored)())),
        "fallbacks": sorted(f"{item.field} from {item.table}" for each in requests for item in each.fallbacks),
    }


def _span(recorded: dict[str, Any]) -> Span:
    made = span(
        recorded["attributes"], number=recorded.get("number", 1), parent=recorded.get("parent"), name=recorded["name"]
    )
    if recorded.get("status") == "error":
        made.status.code = Status.STATUS_CODE_ERROR
    for event in recorded.get("events", ()):
        made.events.add(
            name=event["name"],
            time_unix_nano=made.start_time_unix_nano + event.get("after_ms", 0) * 1_000_000,
            attributes=key_values(event.get("attributes", {})),
        )
    return made


def _log_record(recorded: dict[str, Any]) -> LogRecord:
    number = recorded.get("span")
    return LogRecord(
        time_unix_nano=END_NS,
        event_name=recorded.get("event_name", ""),
        body=any_value(recorded.get("body")),
        attributes=key_values(recorded["attributes"]),
        trace_id=b"" if number is None else bytes(15) + b"\x07",
        span_id=b"" if number is None else number.to_bytes(8, "big"),
    )


def _metric(recorded: dict[str, Any], export: int) -> Metric:
    kind = recorded["kind"]
    metric = Metric(name=recorded["name"], unit=recorded["unit"])
    body = getattr(metric, kind)
    if temporality := recorded.get("temporality"):
        body.aggregation_temporality = AggregationTemporality.Value(f"AGGREGATION_TEMPORALITY_{temporality.upper()}")
    if kind == "sum":
        body.is_monotonic = recorded.get("monotonic", False)
    for each in recorded["points"]:
        point = body.data_points.add(
            time_unix_nano=END_NS + export * 10_000_000_000,
            start_time_unix_nano=STARTED_NS,
            attributes=key_values(each["attributes"]),
        )
        if kind in {"gauge", "sum"}:
            field = "as_int" if isinstance(each["value"], int) else "as_double"
            setattr(point, field, each["value"])
            continue
        point.count, point.sum = each["count"], each["sum"]
        if kind == "histogram":
            point.explicit_bounds.extend(each["bounds"])
            point.bucket_counts.extend(each["buckets"])
        else:
            point.scale, point.zero_count = each["scale"], each["zero"]
            point.positive.offset = each["offset"]
            point.positive.bucket_counts.extend(each["buckets"])
    return metric


def write(prices: PriceTable) -> None:
    """Write the results of every file anew."""
    for path in sorted(FILES.glob("*/*.json")):
        recorded = json.loads(path.read_text())
        path.write_text(json.dumps(recorded | results(path, prices), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(read_file(SHIPPED).table())
