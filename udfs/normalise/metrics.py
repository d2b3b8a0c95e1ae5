"""Data points of OTLP metrics as `llm.metric` events: what was measured, or counted since the point before."""

from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import Any, Final, NamedTuple

from msgspec import field
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from schemas.dead_letter import RejectReason
from schemas.telemetry import EARLIEST_AT_MS, LATEST_AT_MS, Data, EventType, Source, TelemetryEvent
from schemas.time import from_at_ms
from udfs.identity import digest
from udfs.normalise.attributes import kept_labels
from udfs.normalise.context import Context
from udfs.normalise.events import NOT_LLM, UNKNOWN_SERVICE, UnfitError, metadata_of
from udfs.normalise.found import CONTROLS, LABEL_MAX, Found, Sources
from udfs.normalise.identity import sorted_attributes
from udfs.normalise.mapping import PRECEDENCE, metric_named
from udfs.normalise.normalised import Normalised
from udfs.normalise.points import Distribution, number_of, of_exponential, of_histogram, of_summary
from udfs.normalise.streams import Standing, Streams

NOTHING_NEW: Final = "nothing_new"
"""Why a point was ignored: nothing was counted since the one before, or it is that one again."""
FIRST_OF_STREAM: Final = "first_of_stream"
"""Why a point was ignored: it only says from where a cumulative metric is counted."""
NO_VALUE: Final = "no_recorded_value"
"""Why a point was ignored: it says of itself that it has no value."""

_NANOSECONDS: Final = 1_000_000
_IN_MS: Final = {"s": 1_000.0, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "ns": 1e-6, "min": 60_000.0, "h": 3_600_000.0}
_LABELS: Final = Sources("metric-labels", *PRECEDENCE)
_OF_DATA: Final = ("provider", "operation", "model", "response_model", "error_type", "agent_name", "tool_name")
"""Fields of a call that a metric may be about."""
_DISTRIBUTIONS: Final[dict[str, Callable[[Any], Distribution]]] = {
    "histogram": of_histogram,
    "exponential_histogram": of_exponential,
    "summary": of_summary,
}


class NormalisedMetrics(Normalised, kw_only=True):
    """Events of metrics, and where cumulative streams stand after them.

    Give `advanced` to `Streams.keep` once the events are safe, and not before.
    """

    advanced: dict[str, Standing] = field(default_factory=dict)


class _Metric(NamedTuple):
    name: str
    unit: str | None
    factor: float
    """From the reported unit to ours."""
    kind: str
    is_cumulative: bool


class _IgnoredError(Exception):
    """A point that is in order but says nothing new."""


def events_of_metrics(
    resource_metrics: Iterable[otlp.ResourceMetrics], context: Context, streams: Streams
) -> NormalisedMetrics:
    """Return the data points of a request as events. Raises nothing, whatever the messages hold.

    `streams` is what is known of the tenant's cumulative metrics; it is read only.
    """
    result = NormalisedMetrics()
    for index, (of_resource, stream, metric, point) in enumerate(_points(resource_metrics)):
        if metric is None:
            result.ignored[NOT_LLM] += 1
            continue
        found = Found(of_resource)
        found.read(point.attributes, _LABELS)
        named = digest("stream", context.tenant_id, stream, *sorted_attributes(point.attributes))
        try:
            data = _data(metric, point, named, streams, result.advanced)
            result.events.append(_event(found, data, point, named, context))
        except _IgnoredError as ignored:
            result.ignored[str(ignored)] += 1
        except UnfitError as unfit:
            result.rejected.append(unfit.rejection(index))
    return result


def _points(resource_metrics: Iterable[otlp.ResourceMetrics]) -> Iterator[tuple[Found, str, _Metric | None, Any]]:
    """Yield every data point with its resource, what tells its stream from others, and what it measures."""
    for resource in resource_metrics:
        of_resource = Found()
        of_resource.read(resource.resource.attributes)
        of_resource.keep_of_resource()
        program = sorted_attributes(resource.resource.attributes)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is not None:
                    stream = digest(*program, "", scope.scope.name, metric.name, metric.unit, kind)
                    known = _known(metric, kind)
                    for point in getattr(metric, kind).data_points:
                        yield of_resource, stream, known, point


def _known(metric: otlp.Metric, kind: str) -> _Metric | None:
    named = metric_named(metric.name)
    if named is None:
        return None
    unit = metric.unit or named[1]
    is_time = unit in _IN_MS
    temporality = getattr(getattr(metric, kind), "aggregation_temporality", otlp.AGGREGATION_TEMPORALITY_CUMULATIVE)
    return _Metric(
        name=named[0].translate(CONTROLS)[:LABEL_MAX],
        unit="ms" if is_time else unit.translate(CONTROLS)[:LABEL_MAX] or None,
        factor=_IN_MS[unit] if is_time else 1.0,
        kind=kind,
        # A gauge, and a sum that goes up and down, stand for themselves.
        is_cumulative=temporality != otlp.AGGREGATION_TEMPORALITY_DELTA
        and (metric.sum.is_monotonic if kind == "sum" else kind != "gauge"),
    )


def _data(metric: _Metric, point: Any, stream: str, streams: Streams, advanced: dict[str, Standing]) -> dict[str, Any]:
    """Return what a point says: its value, and of a distribution also what it is the mean of."""
    if point.flags & otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
        raise _IgnoredError(NO_VALUE)
    data: dict[str, Any] = {"metric_name": metric.name, "unit": metric.unit}
    distribution = _DISTRIBUTIONS.get(metric.kind)
    if distribution is not None:
        whole = distribution(point)
        if metric.is_cumulative:
            standing = Standing(*_times(point), whole.count, whole.total or 0.0, whole.bounds, whole.buckets)
            new = _new(standing, stream, streams, advanced)
            # The least and the most are of the whole time, not of what is new.
            total = None if whole.total is None else new.total
            whole = Distribution(int(new.count), total, new.bounds, new.buckets)
        if not whole.count:
            raise _IgnoredError(NOTHING_NEW)
        if whole.total is not None:
            data["value"] = whole.total / whole.count * metric.factor
        data["context"] = _context(whole, metric.factor)
        return data
    value = number_of(point)
    if value is None:
        raise UnfitError(RejectReason.MISSING_FIELD, "/value", "a data point has to have a value")
    if metric.is_cumulative:
        value = _new(Standing(*_times(point), value), stream, streams, advanced).count
    data["value"] = value * metric.factor if metric.factor != 1 else value
    return data


def _times(point: Any) -> tuple[int, int]:
    return point.start_time_unix_nano, point.time_unix_nano


def _new(standing: Standing, stream: str, streams: Streams, advanced: dict[str, Standing]) -> Standing:
    """Return what was counted since the point before, and keep where the stream stands now."""
    before = streams.before(stream, advanced)
    new = streams.since(before, standing)
    if before is None or standing.time_ns > before.time_ns:
        advanced[stream] = standing
    if new is None:
        raise _IgnoredError(FIRST_OF_STREAM if before is None else NOTHING_NEW)
    return new


def _context(whole: Distribution, factor: float) -> dict[str, Any]:
    context: dict[str, Any] = {"count": whole.count}
    for name, value in (("sum", whole.total), ("min", whole.low), ("max", whole.high)):
        if value is not None:
            context[name] = value * factor
    if whole.buckets:
        context["bounds"] = [bound * factor for bound in whole.bounds]
        context["bucket_counts"] = list(whole.buckets)
    return context


def _event(found: Found, data: dict[str, Any], point: Any, stream: str, context: Context) -> TelemetryEvent:
    at_ms = point.time_unix_nano // _NANOSECONDS
    if not point.time_unix_nano:
        raise UnfitError(RejectReason.MISSING_FIELD, "/timeUnixNano", "a data point has to say when it was taken")
    if not EARLIEST_AT_MS <= at_ms < LATEST_AT_MS:
        raise UnfitError(RejectReason.OUT_OF_RANGE, "/timeUnixNano", "outside the years 2000 to 2099")
    value = data.get("value")
    if value is not None and not isfinite(value):
        found.odd["value"] = str(data.pop("value"))
    fields = found.fields
    service = fields.get("service") or UNKNOWN_SERVICE
    data |= {name: fields[name] for name in _OF_DATA if name in fields}
    data["dimensions"] = kept_labels(found.others) or None
    found.others = []
    return TelemetryEvent(
        event_id=digest("metric", stream, str(point.time_unix_nano)),
        timestamp=from_at_ms(at_ms),
        source=Source(service=service, host=fields.get("host", ""), version=fields.get("version")),
        event_type=EventType.METRIC,
        application_id=service,
        data=Data(**data),
        tenant_id=context.tenant_id,
        metadata=metadata_of(found, context),
    )
