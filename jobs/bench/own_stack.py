"""A stack of one's own, for a benchmark or a demonstration: in a folder beside the usual one, and gone afterwards."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from jobs.errors import SentinelError
from jobs.stack.layout import default_home
from jobs.stack.services import DETECTION_MODULE, detection_arguments
from jobs.stack.stack import Stack

TASKMANAGERS = 2


@contextmanager
def own_stack(prefix: str = "bench-") -> Iterator[Stack]:
    """Yield a running Kafka and Flink without a job; stop it and remove its folder afterwards, whatever happened.

    The name of the folder begins with the prefix.
    """
    beside = default_home().parent
    beside.mkdir(parents=True, exist_ok=True)
    # An interrupted benchmark cleans up as well, by whichever of the two signals.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with TemporaryDirectory(prefix=prefix, dir=beside, ignore_cleanup_errors=True) as folder:
            stack = Stack(Path(folder))
            try:
                stack.up(taskmanagers=TASKMANAGERS, job=False)
                yield stack
            finally:
                # Impatience must not leave anything behind.
                patient = signal.signal(signal.SIGINT, signal.SIG_IGN)
                stack.down()
                signal.signal(signal.SIGINT, patient)
    finally:
        signal.signal(signal.SIGTERM, before)


def start_job(stack: Stack, config: Path | None) -> str:
    """Submit the detection job with a configuration file, or with the defaults; return its id."""
    given = ["--config", str(config.absolute())] if config else []
    return stack.run_job(DETECTION_MODULE, [*detection_arguments(stack.bootstrap_servers), *given])


def completed_checkpoints(stack: Stack, job_id: str) -> int:
    """Return how many checkpoints the job has completed. Raises SentinelError if it does not run or was restarted."""
    if stack.job_state(job_id) != "RUNNING":
        raise SentinelError(f"The job is {stack.job_state(job_id)} after the measurement, and should be running.")
    if stack.flink.get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]:
        raise SentinelError("The job was restarted while it was measured: the figures would mean nothing.")
    return int(stack.flink.get(f"/jobs/{job_id}/checkpoints")["counts"]["completed"])


def load_average() -> float:
    """Return the machine's load average of the last minute; after another benchmark it tells of that one."""
    return os.getloadavg()[0]
