"""Peers that are jobs on the stack's Flink cluster: LLM-Sentinel itself, and windows in pure SQL."""

from collections.abc import Callable
from string import Template
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from jobs.bench.own_stack import TASKMANAGERS
from jobs.errors import SentinelError
from jobs.stack.launch import taskmanager_name
from jobs.stack.services import DETECTION_MODULE, detection_arguments
from jobs.stack.sql_client import run_sql
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import ANOMALIES
from tests.benchmarks.peers.environment import HERE
from tests.benchmarks.peers.peer import Running, Task
from tests.benchmarks.peers.telemetry import LONGEST_WARM_UP_MS

_WINDOWS: Final = HERE / "flink_sql" / "windows.sql"
_REQUEST_S: Final = 10.0
_STOPPED_S: Final = 60.0
_ENDED: Final = frozenset({"FAILED", "CANCELED", "FINISHED"})


class Sentinel(Struct, frozen=True, kw_only=True):
    """LLM-Sentinel's detection job, whole and with its default configuration."""

    stack: Stack
    name: str = "sentinel"
    way: str = "checkpoints every 10 s"
    warm_up_ms: int = LONGEST_WARM_UP_MS
    judges_calls: bool = True

    def title(self) -> str:
        """Return its name."""
        return "LLM-Sentinel, all default detectors"

    def found_topic(self, measurement: str) -> str:  # noqa: ARG002 - the topic is part of its contract
        """Return its topic of anomalies."""
        return ANOMALIES.name

    def start(self, task: Task) -> Running:
        """Start TaskManagers and the job."""
        task.folder.mkdir(parents=True)
        config = task.folder / "detection.yaml"
        # A name of the task's own keeps measurements apart.
        kafka = {"telemetry_topic": task.calls, "group": task.folder.name}
        config.write_bytes(msgspec.yaml.encode({"kafka": kafka}))
        job = Job(self.stack)
        arguments = [*detection_arguments(task.bootstrap_servers), "--config", str(config)]
        job.begin(lambda: self.stack.run_job(DETECTION_MODULE, arguments))
        return job


class PureSql(Struct, frozen=True, kw_only=True):
    """Flink without Python: decode, and windows of a second with seven aggregates."""

    stack: Stack
    name: str = "flink_sql"
    way: str = "checkpoints every 10 s"
    warm_up_ms: int = 0
    judges_calls: bool = False

    def title(self) -> str:
        """Return its name."""
        return "pure Flink SQL, windows only"

    def found_topic(self, measurement: str) -> str:
        """Return a topic of its own for each measurement."""
        return f"peers-found-{measurement}"

    def start(self, task: Task) -> Running:
        """Start TaskManagers and the query."""
        names = {"KAFKA": task.bootstrap_servers, "CALLS": task.calls, "FOUND": task.found}
        statements = Template(_WINDOWS.read_text()).substitute(names)
        job = Job(self.stack)
        job.begin(lambda: self._submit(task, statements))
        return job

    def _submit(self, task: Task, statements: str) -> str:
        run_sql(self.stack.layout, task.bootstrap_servers, statements, on_cluster=True, tell=lambda _: None)
        [job_id] = [each["jid"] for each in self.stack.jobs() if each["name"] == task.found]
        return job_id


class Job:
    """A job of the cluster, with TaskManagers of its own; the JobManager is the one that stays."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._job_id: str | None = None

    def begin(self, submit: Callable[[], str]) -> None:
        """Start TaskManagers and submit the job; nothing is left behind if that fails."""
        try:
            self.restart()
            self._job_id = submit()
        except BaseException:
            self.stop()
            raise

    def pids(self) -> list[int]:
        """Return JobManager and TaskManagers."""
        return [each.pid for each in self._stack.status() if each.alive and each.name != "kafka"]

    def check(self) -> None:
        """Raise SentinelError if the job has failed for good."""
        if self._ended():
            raise SentinelError(f"The job has ended by itself: see {self._stack.layout.logs}.")

    def kill(self) -> None:
        """Kill the TaskManagers."""
        for number in range(1, TASKMANAGERS + 1):
            if taskmanager_name(number) in {each.name for each in self._stack.status() if each.alive}:
                self._stack.kill_taskmanager(number)

    def restart(self) -> None:
        """Start TaskManagers; a job that waits for them goes on by itself."""
        for _ in range(TASKMANAGERS):
            self._stack.start_taskmanager()

    def stop(self) -> None:
        """Cancel the job and end its TaskManagers."""
        if self._job_id:
            httpx.patch(
                f"{self._stack.rest_url}/jobs/{self._job_id}",
                params={"mode": "cancel"},
                timeout=_REQUEST_S,
                trust_env=False,
            )
            wait_until(self._ended, "the job to end", deadline_s=_STOPPED_S)
        self.kill()
        self._stack.wait_for_taskmanagers(0)

    def _ended(self) -> bool:
        return self._job_id is not None and self._stack.job_state(self._job_id) in _ENDED
