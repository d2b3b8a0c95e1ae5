"""Lines: many records that leave Python at once, since a crossing for each would hold events up when a minute ends."""

from collections.abc import Iterator, Sequence
from typing import Final

from pyflink.common import Types
from pyflink.datastream import DataStream, OutputTag

from operators.shards import java_class
from schemas.codec import encode
from schemas.summary import Summary

KEYED_BYTES = Types.ROW([Types.PRIMITIVE_ARRAY(Types.BYTE()), Types.PRIMITIVE_ARRAY(Types.BYTE())])
"""A Kafka key and a value."""
SUMMARIES = OutputTag("summaries", Types.PRIMITIVE_ARRAY(Types.BYTE()))
"""Lines of key, tab and JSON."""
_LINES: Final = 1_000
"""Records that cross into the JVM at once."""


def summary_lines(summaries: Sequence[Summary]) -> Iterator[bytes]:
    """Yield summaries as lines; neither key nor JSON holds a tab or a line feed of its own."""
    for start in range(0, len(summaries), _LINES):
        some = summaries[start : start + _LINES]
        yield b"\n".join([b"%b\t%b" % (each.entity.id.encode(), encode(each)) for each in some])


def divided(lines: DataStream) -> DataStream:
    """Return lines as rows of `KEYED_BYTES`; they are divided in the JVM."""
    stream = lines._j_data_stream  # noqa: SLF001 - the Java stream is not public
    rows = stream.flatMap(java_class("DivideLines")(), KEYED_BYTES.get_java_type_info())
    return DataStream(rows.uid("divide-summaries").name("divide summaries"))
