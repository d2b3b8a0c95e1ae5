"""Side outputs, taken in the JVM: PyFlink's own way adds a Python operator to the thread that they come from."""

from pyflink.datastream import DataStream, OutputTag


def side_output(stream: DataStream, tag: OutputTag) -> DataStream:
    """Return a side output, rebalanced, so that nothing behind it shares a thread with the operator before it.

    `DataStream.get_side_output` appends an identity map. Two embedded interpreters in one thread have two Python thread
    states, of which only one is the thread's own for `PyGILState_Ensure`: a kernel that gives an array back in the
    other waits for ever for the interpreter lock that its own thread holds (Flink 2.3.0, PEMJA 0.5.7).
    """
    outputs = stream._j_data_stream.getSideOutput(tag.get_java_output_tag())  # noqa: SLF001 - not public
    return DataStream(outputs.rebalance())
