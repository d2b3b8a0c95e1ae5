"""Source: telemetry records from Kafka, undecoded."""

from typing import Final

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from jobs.detection.settings import KafkaSettings
from jobs.errors import SentinelError
from operators.shards import java_class

_PROPERTIES: Final = {
    # A fetch waits for nothing: latency is decided by the tick.
    "fetch.min.bytes": "1",
    "fetch.max.wait.ms": "10",
    "max.poll.records": "5000",
    "partition.discovery.interval.ms": "300000",
}


def telemetry_records(environment: StreamExecutionEnvironment, kafka: KafkaSettings) -> DataStream:
    """Return the records of the telemetry topic, as `operators.shards.gather` takes them.

    Raises SentinelError if Flink lacks the archive of our Java operators.
    """
    jvm = get_gateway().jvm
    try:
        records = java_class("TelemetryRecords")()
    except LookupError as error:
        raise SentinelError(str(error)) from None
    offsets = jvm.org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer
    # The connector's archive has Kafka's classes under a name of its own.
    reset = jvm.org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.OffsetResetStrategy
    starts = {
        "earliest-offset": offsets.earliest,
        "latest-offset": offsets.latest,
        "group-offsets": lambda: offsets.committedOffsets(reset.EARLIEST),
    }
    builder = (
        jvm.org.apache.flink.connector.kafka.source.KafkaSource.builder()
        .setBootstrapServers(kafka.bootstrap_servers)
        .setGroupId(kafka.group)
        .setTopics([kafka.telemetry_topic])
        .setStartingOffsets(starts[kafka.startup]())
        .setDeserializer(records)
    )
    for name, value in _PROPERTIES.items():
        builder = builder.setProperty(name, value)
    # Event time is a function of the records, made where they are decoded.
    no_watermarks = jvm.org.apache.flink.api.common.eventtime.WatermarkStrategy.noWatermarks()
    source = environment._j_stream_execution_environment.fromSource(  # noqa: SLF001 - the Java stream is not public
        builder.build(), no_watermarks, "telemetry"
    )
    return DataStream(source.uid("telemetry"))
