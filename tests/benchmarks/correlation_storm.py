"""Prints how fast correlation runs in a storm of 1,000 entities, and how large its state grows.

    python -m tests.benchmarks.correlation_storm [anomalies]

Rates are per second of processor time: of the logic alone, with the state encoded after each item as an adapter does
that keeps it decoded, and with it decoded before each item as well.
"""

import sys
from time import process_time

from tests.unit.test_correlation_storms import KINDS, storm
from udfs.correlation import Correlation, CorrelationState


def measure(kind: str, count: int) -> str:
    """Return one line of figures for one kind of storm."""
    items = list(storm(kind, count))
    logic = Correlation()
    seconds = []
    largest = 0
    for encodes, decodes in ((False, False), (True, False), (True, True)):
        state: CorrelationState | None = None
        began = process_time()
        for item in items:
            state = logic.on_item(state, item).state
            if encodes and state is not None:
                data = logic.encode(state)
                largest = max(largest, len(data))
                if decodes:
                    state = logic.decode(data)
        seconds.append(process_time() - began)
    rates = "  ".join(f"{count / each:>8,.0f}" for each in seconds)
    return f"{kind:>12}  {rates}  {largest:>9,}"


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'storm of':>12}  {'logic':>8}  {'+encode':>8}  {'+decode':>8}  {'bytes':>9}")  # noqa: T201
    for each in KINDS:
        print(measure(each, number))  # noqa: T201
