"""Start of the detection job: `flink run ... -pym jobs.detection -- --config FILE`."""

import argparse
import sys
from pathlib import Path

from msgspec.structs import replace
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment
from pyflink.util.java_utils import get_j_env_configuration

from jobs.detection.control import read_control
from jobs.detection.settings import JobSettings, load
from jobs.detection.source import telemetry_records
from jobs.detection.tables import add_sink, control_changes
from jobs.detection.topology import build
from jobs.errors import SentinelError
from jobs.topics import ANOMALIES, CONFIG, DEAD_LETTERS, INCIDENTS, LATE, MODELS, SUMMARIES
from operators.shards import gather
from udfs.control import Control

JOB_NAME = "llm-sentinel-detection"
SUMMARIES_WAIT_MS = 100
"""Thousands of them come at the end of a minute, and nobody waits for one."""


def main(arguments: list[str]) -> None:
    """Build the job from its configuration and hand it to Flink."""
    parser = argparse.ArgumentParser(prog="jobs.detection")
    parser.add_argument("--config", type=Path, help="YAML file; without it, the defaults")
    parser.add_argument("--bootstrap-servers", help="Kafka, in place of the configuration's")
    options = parser.parse_args(arguments)
    settings = load(options.config) if options.config else JobSettings()
    if options.bootstrap_servers:
        settings = replace(settings, kafka=replace(settings.kafka, bootstrap_servers=options.bootstrap_servers))
    run(settings)


def run(settings: JobSettings) -> None:
    """Submit the job."""
    kafka = settings.kafka
    control = read_control(kafka.bootstrap_servers, kafka.telemetry_topic)
    environment = StreamExecutionEnvironment.get_execution_environment()
    _check_flink(environment)
    tables = StreamTableEnvironment.create(environment)
    # Kafka's offsets are state as well: sources and sinks get uids too, numbered in the order of their making here.
    tables.get_config().set("table.exec.uid.generation", "ALWAYS")
    telemetry = gather(
        telemetry_records(environment, kafka), partitions=control.telemetry_partitions, tick_ms=settings.tick_ms
    )
    detection = replace(
        settings.detection,
        partitions=control.telemetry_partitions,
        telemetry_topic=kafka.telemetry_topic,
        telemetry_format=kafka.telemetry_format,
    )
    for refused in Control(control.snapshot, detection.detectors).refused:
        print(f"sentinel: {refused.topic}: {refused.detail}; it is not in force", file=sys.stderr)  # noqa: T201
    rules = control_changes(tables, kafka, CONFIG.name, control.offsets[CONFIG.name]).uid("changes-of-rules")
    models = control_changes(tables, kafka, MODELS.name, control.offsets[MODELS.name]).uid("changes-of-models")
    streams = build(telemetry, rules.union(models), detection, control.snapshot)
    statements = tables.create_statement_set()
    add_sink(tables, statements, kafka, ANOMALIES.name, streams.anomalies)
    add_sink(tables, statements, kafka, INCIDENTS.name, streams.incidents)
    add_sink(tables, statements, kafka, SUMMARIES.name, streams.summaries, linger_ms=SUMMARIES_WAIT_MS)
    add_sink(tables, statements, kafka, DEAD_LETTERS.name, streams.dead_letters, key="STRING", payload="STRING")
    add_sink(tables, statements, kafka, LATE.name, streams.late, key="STRING")
    statements.attach_as_datastream()
    environment.execute(JOB_NAME)


def _check_flink(environment: StreamExecutionEnvironment) -> None:
    """Refuse process mode, in which the job would restart for ever, and barriers that overtake what belongs before."""
    settings = Configuration(j_configuration=get_j_env_configuration(environment._j_stream_execution_environment))  # noqa: SLF001
    mode = settings.get_string("python.execution-mode", "process")
    if mode != "thread":
        raise SentinelError(
            f"python.execution-mode is {mode!r}, but this job runs in thread mode only; set "
            "`python.execution-mode: thread` in Flink's configuration, or add -Dpython.execution-mode=thread to "
            "`flink run`"
        )
    if settings.get_boolean("execution.checkpointing.unaligned.enabled", default_value=False):
        raise SentinelError(
            "execution.checkpointing.unaligned.enabled is true, but this job stores its state right before an aligned "
            "barrier; leave the setting out of Flink's configuration, or add "
            "-Dexecution.checkpointing.unaligned.enabled=false to `flink run`"
        )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SentinelError as error:
        sys.exit(f"sentinel: {error}")
