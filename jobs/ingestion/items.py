"""Items: the bytes of one item of a request, found again when it was rejected, which is rare."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, Final

import msgspec

from jobs.ingestion.signals import Signal


def line(body: bytes, index: int) -> bytes:
    """Return an event of NDJSON."""
    return next(islice(filter(bytes.strip, body.split(b"\n")), index, None), b"")


def element(body: bytes, index: int) -> bytes:
    """Return an event of a JSON array."""
    return bytes(msgspec.json.decode(body, type=list[msgspec.Raw])[index])


def exported(message: Any, signal: Signal, index: int) -> bytes:
    """Return a span, data point or log record of an export request."""
    found = next(islice(_exported(message, signal), index, None), None)
    return b"" if found is None else bytes(found.SerializeToString())


def _exported(message: Any, signal: Signal) -> Iterator[Any]:
    resources, scopes, found = _PLACES[signal]
    for resource in getattr(message, resources):
        for scope in getattr(resource, scopes):
            yield from chain.from_iterable(map(_points, scope.metrics)) if found == "metrics" else getattr(scope, found)


def _points(metric: Any) -> Any:
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


_PLACES: Final = {
    Signal.TRACES: ("resource_spans", "scope_spans", "spans"),
    Signal.METRICS: ("resource_metrics", "scope_metrics", "metrics"),
    Signal.LOGS: ("resource_logs", "scope_logs", "log_records"),
}
