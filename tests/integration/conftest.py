"""The running stack that tests marked `cluster` share."""

from collections.abc import Iterator

import pytest

from jobs.stack.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka and Flink with two TaskManagers in a folder of their own; no detection job.

    A test that breaks something leaves the stack as it found it: two TaskManagers, Kafka running, no live job.
    """
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.up(taskmanagers=2, job=False)
    try:
        yield stack
    finally:
        stack.down()
