"""Telemetry through detection and correlation, connected as in the job's topology (`jobs.detection.topology`)."""

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from msgspec import Struct

from jobs.errors import SentinelError
from schemas.anomaly import Anomaly
from schemas.avro import read_avro_file
from schemas.dead_letter import DeadLetter
from schemas.incident import Incident
from schemas.summary import Summary
from schemas.telemetry import TelemetryEvent
from udfs.control import Control
from udfs.correlation.notice import OperatorNotice
from udfs.correlation.provider import ProviderCorrelation
from udfs.correlation.tenant import Correlation, Forward
from udfs.detection import ShardDetection
from udfs.event_columns import TelemetryFormat
from udfs.keyed_logic import KeyedRun
from udfs.record_block import block_of
from udfs.settings import DetectionSettings
from udfs.spanning import SpanningDetection

AVRO_SUFFIX = ".avro"
BATCH = 1_000
"""Records that are worked on at once; results do not depend on it."""


class Backtest(Struct):
    """What the job would have said about some telemetry."""

    anomalies: list[Anomaly] = []
    incidents: list[Incident] = []
    """The newest state of every incident."""
    dead_letters: list[DeadLetter] = []
    summaries: list[Summary] = []
    records: int = 0
    late: int = 0


def read_lines(path: Path) -> Iterator[bytes]:
    """Return the lines of a file, unpacked if its name ends in .gz; raises SentinelError if it cannot be read."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\r\n")
    except (OSError, EOFError) as error:
        problem = f"cannot read {path}: {error}"
        raise SentinelError(problem) from None


def read_records(path: Path) -> tuple[Iterator[bytes], TelemetryFormat]:
    """Return the records of a file and their format: Avro if its name ends in .avro, else lines of JSON."""
    return (read_avro(path), "avro") if path.suffix == AVRO_SUFFIX else (read_lines(path), "json")


def read_avro(path: Path) -> Iterator[bytes]:
    """Return the records of an Avro container file as an Avro topic holds them.

    The file may have been written with an older or newer schema. Raises SentinelError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from read_avro_file(file, TelemetryEvent)
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever the bytes make it stumble over
        problem = f"cannot read {path} as an Avro file of telemetry: {str(error) or type(error).__name__}"
        raise SentinelError(problem) from None


def backtest(records: Iterable[bytes], settings: DetectionSettings, control: Control | None = None) -> Backtest:
    """Run records, in the order of their arrival and the format of the settings, through everything the job does.

    `control` holds rules and models; without it there are none.
    """
    result = Backtest()
    in_force = control or Control({})
    shard = ShardDetection(settings, in_force, 0)
    spanning = SpanningDetection(settings, in_force)
    correlations = Correlations(settings)
    result.anomalies = correlations.anomalies
    source = iter(records)
    while batch := list(islice(source, BATCH)):
        findings = shard.on_records(block_of(batch, range(result.records, result.records + len(batch))))
        for found in (findings, *map(spanning.on_share, findings.shares)):
            correlations.send(found.anomalies)
            result.summaries += chain.from_iterable(found.summaries)
        correlations.pass_time(shard.watermark_ms)
        result.records += len(batch)
        result.late += len(findings.late)
        result.dead_letters += findings.dead_letters
    result.incidents = list(correlations.incidents.values())
    return result


class Correlations:
    """The two stages of correlation, every provider's and every tenant's."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Begin with nothing."""
        self.anomalies: list[Anomaly] = []
        """What was forwarded, once per id."""
        self.incidents: dict[str, Incident] = {}
        """The newest state of every incident, by its id."""
        self._providers = KeyedRun(ProviderCorrelation(settings.correlation))
        self._tenants = KeyedRun(Correlation(settings.correlation))

    def send(self, anomalies: Iterable[Anomaly]) -> None:
        """Take anomalies, each to the stages that it concerns."""
        for anomaly in anomalies:
            if anomaly.affected_entity.provider:
                self._take(self._providers.send(anomaly.affected_entity.provider, anomaly))
            if anomaly.tenant_id:
                self._take(self._tenants.send(anomaly.tenant_id, anomaly))

    def pass_time(self, watermark_ms: int) -> None:
        """Let event time come to the watermark: what is over closes."""
        for run in (self._providers, self._tenants):
            for _, outputs in run.pass_time(watermark_ms):
                self._take(outputs)

    def _take(self, outputs: Iterable[object]) -> None:
        for output in outputs:
            if isinstance(output, Forward):
                self.anomalies.append(output.anomaly)
            elif isinstance(output, Incident):
                self.incidents[output.incident_id] = output
            elif isinstance(output, OperatorNotice):
                self._take(self._tenants.send(output.tenant_id, output))


def counts(result: Backtest) -> dict[str, object]:
    """Return a summary of a backtest that can be written as JSON."""
    return {
        "records": result.records,
        "late": result.late,
        "dead_letters": dict(Counter(each.reason.value for each in result.dead_letters)),
        "anomalies": len(result.anomalies),
        "anomalies_by_detector": dict(Counter(each.detector_id for each in result.anomalies)),
        "anomalies_by_severity": dict(Counter(each.severity.value for each in result.anomalies)),
        "incidents": len(result.incidents),
    }
