"""A stack of one's own, for a benchmark or a demonstration: in a folder beside the usual one, and gone afterwards."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from jobs.errors import SentinelError
from jobs.stack import kafka_broker
from jobs.stack.launch import environment
from jobs.stack.layout import Layout, default_home
from jobs.stack.ports import LOOPBACK, free_port
from jobs.stack.processes import stop
from jobs.stack.services import DETECTION_MODULE, detection_arguments
from jobs.stack.stack import Stack
from jobs.stack.state import Ports
from jobs.topics import TOPICS

TASKMANAGERS = 2
_KAFKA_GRACE_S = 15.0


@contextmanager
def own_stack(prefix: str = "bench-", taskmanagers: int = TASKMANAGERS) -> Iterator[Stack]:
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
                stack.up(taskmanagers=taskmanagers, job=False)
                yield stack
            finally:
                # Impatience must not leave anything behind.
                patient = signal.signal(signal.SIGINT, signal.SIG_IGN)
                stack.down()
                signal.signal(signal.SIGINT, patient)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def own_broker(prefix: str = "bench-") -> Iterator[tuple[Path, str]]:
    """Yield a folder and the address of a Kafka that runs in it, with all topics; the same, without Flink."""
    beside = default_home().parent
    beside.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with TemporaryDirectory(prefix=prefix, dir=beside, ignore_cleanup_errors=True) as folder:
            layout = Layout(Path(folder))
            kafka = free_port(29_092)
            ports = Ports(
                kafka=kafka, kafka_controller=free_port(29_093, frozenset({kafka})), flink_rest=0, flink_rpc=0
            )
            process = kafka_broker.start_broker(layout, ports, environment(layout))
            try:
                kafka_broker.wait_for_broker(process, ports)
                kafka_broker.create_topics(ports, TOPICS)
                yield layout.home, f"{LOOPBACK}:{kafka}"
            finally:
                stop([process], grace_s=_KAFKA_GRACE_S)
    finally:
        signal.signal(signal.SIGTERM, before)


def start_job(stack: Stack, config: Path | None) -> str:
    """Submit the detection job with a configuration file, or with the defaults; return its id."""
    given = ["--config", str(config.absolute())] if config else []
    return stack.run_job(DETECTION_MODULE, [*detection_arguments(stack.bootstrap_servers), *given])


class Checkpoints(Struct, frozen=True, kw_only=True):
    """Those that completed while the job ran, warm-up included."""

    completed: int
    p50_ms: int
    """From the trigger to the last acknowledgement."""
    max_ms: int
    max_bytes: int
    """Largest full state."""


def checkpoints_of(stack: Stack, job_id: str) -> Checkpoints:
    """Return the checkpoints of a job. Raises SentinelError if it does not run or was restarted."""
    if stack.job_state(job_id) != "RUNNING":
        raise SentinelError(f"The job is {stack.job_state(job_id)} after the measurement, and should be running.")
    if stack.flink.get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]:
        raise SentinelError("The job was restarted while it was measured: the figures would mean nothing.")
    found = stack.flink.get(f"/jobs/{job_id}/checkpoints")
    duration, size = found["summary"]["end_to_end_duration"], found["summary"]["state_size"]
    return Checkpoints(
        completed=int(found["counts"]["completed"]),
        p50_ms=round(float(duration["p50"])),
        max_ms=int(duration["max"]),
        max_bytes=int(size["max"]),
    )


def load_average() -> float:
    """Return the machine's load average of the last minute; after another benchmark it tells of that one."""
    return os.getloadavg()[0]
