"""The OpenTelemetry Collector as a yardstick: takes OTLP in, makes batches, and writes them to a file."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from jobs.errors import SentinelError
from jobs.stack.ports import LOOPBACK, free_port, is_listening
from jobs.stack.waiting import wait_until

_START_S: Final = 60.0
_DRAIN_S: Final = 120.0
_SPANS: Final = "spans"
_LENGTH_BYTES: Final = 4
_CONFIG: Final = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{host}:{port}'}}}}}}}}
processors: {{batch: {{}}}}
exporters: {{file: {{path: '{spans}', format: proto}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [file]}}}}
"""


@contextmanager
def run_collector(program: Path, folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Yield the running Collector and its address; the last batch is written when the block ends.

    Raises SentinelError when it does not start.
    """
    port = free_port(24_328)
    config, log = folder / "collector.yaml", folder / "collector.log"
    config.write_text(_CONFIG.format(host=LOOPBACK, port=port, spans=folder / _SPANS))
    with log.open("wb") as out:
        process = subprocess.Popen([program.absolute(), "--config", config], stderr=out, stdout=out)
        try:

            def ready() -> bool:
                if process.poll() is not None:
                    raise SentinelError(f"the Collector ended: {log.read_text()[-500:]}")
                return is_listening(port)

            wait_until(ready, "the Collector to listen", deadline_s=_START_S)
            yield psutil.Process(process.pid), f"http://{LOOPBACK}:{port}"
        finally:
            process.terminate()
            process.wait(_DRAIN_S)


def spans_written(folder: Path) -> int:
    """Return how many spans the Collector has written to its file: requests, each behind its length in four bytes."""
    spans = 0
    with (folder / _SPANS).open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            request = ExportTraceServiceRequest.FromString(file.read(int.from_bytes(length, "big")))
            spans += sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
    return spans
