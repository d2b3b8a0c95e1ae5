"""A Flink job that prints where its Python runs."""

import os
import sys

from pyflink.common import Types
from pyflink.datastream import StreamExecutionEnvironment


def where(number: int) -> str:
    """Say which interpreter the row meets, and whether that is embedded in the process of its JVM."""
    with open(f"/proc/{os.getpid()}/comm") as comm:  # noqa: PTH123 - a closure that is pickled by value keeps few names
        process = comm.read().strip()
    return f"row {number} prefix {sys.prefix} process {process}"


if __name__ == "__main__":
    environment = StreamExecutionEnvironment.get_execution_environment()
    environment.from_collection(list(range(8)), type_info=Types.INT()).rebalance().map(where, Types.STRING()).print()
    environment.execute(sys.argv[1])
