"""Lines: many records that cross between Python and the JVM at once.

Each crossing may wait for the interpreter lock while other operators of the process hold it, five milliseconds each
time: what belongs together crosses together.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from pyflink.common import Row, Types
from pyflink.common.typeinfo import TypeInformation
from pyflink.datastream import DataStream, OutputTag

from operators.shards import java_class
from schemas.anomaly import Anomaly
from schemas.codec import encode
from schemas.summary import Summary

LINES: TypeInformation = Types.PRIMITIVE_ARRAY(Types.BYTE())
"""Lines with line feeds between them. No key and no JSON holds a tab or a line feed of its own."""
TIMED_LINES: TypeInformation = Types.ROW([LINES, Types.LONG()])
"""Lines of tenant, tab, provider, tab and JSON, tenant and provider empty where there is none; and event time in ms.

Without lines: event time has come so far, no more.
"""
KEYED_BYTES: TypeInformation = Types.ROW([LINES, LINES])
"""A Kafka key and a value."""
TENANT, PROVIDER = 0, 1
"""Places of the texts that a line of `TIMED_LINES` begins with."""
_TEXTS: Final = 2
SUMMARIES = OutputTag("summaries", LINES)
"""Lines of key, tab and JSON."""
_SUMMARIES_AT_ONCE: Final = 1_000


def anomaly_lines(anomalies: Iterable[Anomaly], at_ms: int) -> Row:
    """Return a row of `TIMED_LINES`."""
    lines = [
        b"%b\t%b\t%b" % ((each.tenant_id or "").encode(), each.affected_entity.provider.encode(), encode(each))
        for each in anomalies
    ]
    return Row(b"\n".join(lines), at_ms)


def summary_lines(summaries: Iterable[Summary]) -> Iterator[bytes]:
    """Yield lines of summaries, a thousand at a time."""
    rest = iter(summaries)
    while some := list(islice(rest, _SUMMARIES_AT_ONCE)):
        yield b"\n".join([b"%b\t%b" % (each.entity.id.encode(), encode(each)) for each in some])


def divided(lines: DataStream) -> DataStream:
    """Return lines of key, tab and JSON as rows of `KEYED_BYTES`; they are divided in the JVM."""
    stream = lines._j_data_stream  # noqa: SLF001 - the Java stream is not public
    return DataStream(stream.flatMap(java_class("DivideLines")(), KEYED_BYTES.get_java_type_info()))


def by_key(rows: DataStream, key_at: int) -> DataStream:
    """Return rows `(key, lines of JSON)` for `keyed_in_jvm`, of rows of `TIMED_LINES`; lines without the key go."""
    pairs = Types.ROW([Types.STRING(), LINES]).get_java_type_info()
    stream = rows._j_data_stream  # noqa: SLF001 - the Java stream is not public
    return DataStream(stream.flatMap(java_class("LinesByKey")(key_at, _TEXTS), pairs))
