"""Shards: telemetry gathered per partition and tick into rows of raw records, keyed so that subtasks share evenly.

The JVM fetches and batches; a row `(partition, values, first offset, marks)` crosses into Python once per partition and
tick, in offset order. See docs/decisions/0002-records-cross-undecoded.md for what that costs and saves.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pyflink.common import Types
from pyflink.common.typeinfo import TypeInformation
from pyflink.datastream import KeyedStream
from pyflink.datastream.data_stream import DataStream
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from udfs.kernels import Integers
from udfs.shards import shard_keys

ROW_TYPE: TypeInformation = Types.ROW(
    [
        Types.INT(),
        Types.OBJECT_ARRAY(Types.PRIMITIVE_ARRAY(Types.BYTE())),
        Types.LONG(),
        Types.OBJECT_ARRAY(Types.LONG()),
    ]
)
"""Partition; record values (null for a tombstone); the first offset; and of each record when the broker took it (ms,
negative if it does not say) times 2**20, plus its offset modulo 2**20: an array more would cost as much as decoding."""
_OFFSETS: Final = 1 << 20


def gather(tables: StreamTableEnvironment, telemetry: str, *, partitions: int, tick_ms: int) -> KeyedStream:
    """Return the telemetry of a table as rows per partition and tick, keyed by the partition's shard key.

    `telemetry` names a table with `payload BYTES`, `part INT`, `record_offset BIGINT`, `taken_at TIMESTAMP_LTZ(3)` and
    `processed_at`, a processing time attribute. A partition that was added later than `partitions` says keeps its own
    number as key.
    """
    keys = ", ".join(str(key) for key in shard_keys(partitions))
    # ARRAY_AGG wants nullable elements: NULLIF with an impossible value makes them so.
    rows = tables.sql_query(f"""
        SELECT COALESCE(ARRAY[{keys}][part + 1], part) AS shard, ROW(part, payloads, first_offset, marks) AS batch
        FROM (
            SELECT part, ARRAY_AGG(payload) AS payloads, MIN(record_offset) AS first_offset,
                ARRAY_AGG(NULLIF(
                    (EXTRACT(EPOCH FROM taken_at) * 1000 + EXTRACT(MILLISECOND FROM taken_at)) * {_OFFSETS}
                        + MOD(record_offset, {_OFFSETS}),
                    -9000000000000000000
                )) AS marks
            FROM TABLE(TUMBLE(TABLE {telemetry}, DESCRIPTOR(processed_at), INTERVAL '{tick_ms / 1000:.3f}' SECOND))
            GROUP BY part, window_start, window_end
        )
    """)  # noqa: S608 - built from our own integers and names
    # PyFlink's own conversion of a table with arrays fails (ClassCastException to ArrayType); explicit types do not.
    stream = tables.to_data_stream(rows)._j_data_stream  # noqa: SLF001 - the Java stream is not public
    stream.getTransformation().setOutputType(Types.ROW([Types.INT(), ROW_TYPE]).get_java_type_info())
    return keyed_in_jvm(DataStream(stream), ROW_TYPE)


def unmarked(first_offset: int, marks: Sequence[int]) -> tuple[Integers, Integers]:
    """Return offsets and times taken of the records of a row."""
    both = np.array(marks, dtype=np.int64)
    return first_offset + (both - first_offset) % _OFFSETS, both // _OFFSETS


def keyed_in_jvm(pairs: DataStream, value_type: TypeInformation) -> KeyedStream:
    """Return the values of rows `(integer key, value)`, keyed, without the Python operator that `key_by` puts in."""
    stream = pairs._j_data_stream  # noqa: SLF001 - the Java stream is not public
    key_type = Types.ROW([Types.INT()]).get_java_type_info()
    return KeyedStream(stream.keyBy(get_gateway().jvm.KeyByKeySelector(), key_type), value_type, pairs)
