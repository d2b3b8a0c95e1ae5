"""Tables: where the detection job reads and writes, as Flink SQL over Kafka."""

from pyflink.datastream import DataStream
from pyflink.table import StatementSet, StreamTableEnvironment

from jobs.detection.settings import KafkaSettings
from operators.control import CONTROL_ROW


def control_changes(tables: StreamTableEnvironment, kafka: KafkaSettings, topic: str, offset: int) -> DataStream:
    """Return changes of rules or models, rows `(key, JSON, offset)`, from an offset of the topic's one partition."""
    table = topic.replace(".", "_")
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {table} (
            record_key STRING, payload STRING, record_offset BIGINT METADATA FROM 'offset' VIRTUAL
        ) WITH (
            {_connection(kafka, topic)},
            'properties.group.id' = '{kafka.group}',
            'scan.startup.mode' = 'specific-offsets',
            'scan.startup.specific-offsets' = 'partition:0,offset:{offset}',
            'key.format' = 'raw', 'key.fields' = 'record_key',
            'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
        )
    """)
    changes = tables.sql_query(f"SELECT record_key, payload, record_offset FROM {table}")  # noqa: S608
    return tables.to_data_stream(changes).map(lambda row: row, CONTROL_ROW)


def add_sink(
    tables: StreamTableEnvironment,
    statements: StatementSet,
    kafka: KafkaSettings,
    topic: str,
    stream: DataStream,
    *,
    key: str = "BYTES",
    payload: str = "BYTES",
    linger_ms: int = 0,
) -> None:
    """Write rows `(Kafka key, value)` to a topic; `key` and `payload` are the SQL types of the two.

    `linger_ms` is how long a record may wait for others to be sent with.
    """
    name = "to_" + topic.replace(".", "_").replace("-", "_")
    guarantee = (
        f"'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{kafka.group}-{topic}', "
        "'sink.transaction-naming-strategy' = 'POOLING', 'properties.transaction.timeout.ms' = '600000'"
        if kafka.exactly_once
        else "'sink.delivery-guarantee' = 'at-least-once'"
    )
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name} (record_key {key}, payload {payload}) WITH (
            {_connection(kafka, topic)},
            'properties.max.request.size' = '12582912',
            'properties.compression.type' = 'lz4',
            -- What comes in bursts goes in few requests.
            'properties.batch.size' = '262144',
            'properties.linger.ms' = '{linger_ms}',
            {guarantee},
            'key.format' = 'raw', 'key.fields' = 'record_key',
            'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
        )
    """)
    statements.add_insert(name, tables.from_data_stream(stream))


def _connection(kafka: KafkaSettings, topic: str) -> str:
    return f"'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{kafka.bootstrap_servers}'"
