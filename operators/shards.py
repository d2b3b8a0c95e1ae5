"""Shards: telemetry gathered per partition and tick into blocks of raw records, keyed so that subtasks share evenly.

The JVM fetches and gathers; a row `(partition, block)` crosses into Python once per partition and tick, in offset order
(`udfs/record_block.py`). See docs/decisions/0002-records-cross-undecoded.md and 0008-records-gathered-in-the-source.md.
"""

from typing import Final

from py4j.java_gateway import JavaClass
from pyflink.common import Types
from pyflink.common.typeinfo import TypeInformation
from pyflink.datastream import KeyedStream
from pyflink.datastream.data_stream import DataStream
from pyflink.java_gateway import get_gateway

from udfs.shards import shard_keys

ROW_TYPE: TypeInformation = Types.ROW([Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
"""Partition, and the block of its records; an empty block asks to store what the partition has changed."""
_PACKAGE: Final = "llmsentinel"


def gather(records: DataStream, *, partitions: int, tick_ms: int) -> KeyedStream:
    """Return telemetry as rows of `ROW_TYPE`, keyed by the partition's shard key.

    `records` are those of the Java class `TelemetryRecords`. A partition that was added later than `partitions` says
    keeps its own number as key.
    """
    gateway = get_gateway()
    keys = shard_keys(partitions)
    java_keys = gateway.new_array(gateway.jvm.int, len(keys))
    for partition, key in enumerate(keys):
        java_keys[partition] = key
    operator = java_class("GatherRecords")(java_keys, tick_ms)
    row_type = Types.ROW([Types.INT(), ROW_TYPE]).get_java_type_info()
    rows = records._j_data_stream.transform("gather", row_type, operator).uid("gather")  # noqa: SLF001 - not public
    return keyed_in_jvm(DataStream(rows), Types.INT(), ROW_TYPE)


def keyed_in_jvm(pairs: DataStream, key_type: TypeInformation, value_type: TypeInformation) -> KeyedStream:
    """Return the values of rows `(key, value)`, keyed, without the Python operator that `key_by` puts in."""
    stream = pairs._j_data_stream  # noqa: SLF001 - the Java stream is not public
    keys = Types.ROW([key_type]).get_java_type_info()
    return KeyedStream(stream.keyBy(get_gateway().jvm.KeyByKeySelector(), keys), value_type, pairs)


def java_class(name: str) -> JavaClass:
    """Return one of our own Java classes (`operators/java`). Raises LookupError if Flink lacks it."""
    found = getattr(getattr(get_gateway().jvm, _PACKAGE), name)
    if not isinstance(found, JavaClass):
        problem = (
            f"Flink has no class {_PACKAGE}.{name}, so it lacks the archive llm-sentinel-operators.jar or has that of "
            "another version: put this version's into the lib folder of every Flink process (`make setup` builds it in "
            ".sentinel/lib/connectors) and start Flink again"
        )
        raise LookupError(problem)  # noqa: TRY004 - a name that py4j does not find is a package
    return found
