"""Log records of OTLP as events: events of the GenAI conventions, and what some programs report only as logs."""

from collections.abc import Iterable

from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs

from udfs.normalise.context import Context
from udfs.normalise.events import NOT_LLM
from udfs.normalise.normalised import Normalised


def events_of_logs(resource_logs: Iterable[ResourceLogs], context: Context) -> Normalised:  # noqa: ARG001 - the next slice reads it
    """Return the log records of a request as events. Raises nothing, whatever the messages hold."""
    result = Normalised()
    for resource in resource_logs:
        for scope in resource.scope_logs:
            result.ignored[NOT_LLM] += len(scope.log_records)
    return result
