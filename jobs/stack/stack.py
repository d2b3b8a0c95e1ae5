"""The local stack as a whole: up, down, status, and the faults that tests inject."""

import fcntl
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jobs.errors import SentinelError
from jobs.stack import kafka_broker
from jobs.stack.flink_cluster import FlinkCluster
from jobs.stack.launch import (
    CLUSTER_S,
    environment,
    flink_client,
    launch_kafka_and_flink,
    launch_services,
    launch_taskmanager,
    settle,
    taskmanager_name,
)
from jobs.stack.layout import Layout, default_home
from jobs.stack.ports import LOOPBACK
from jobs.stack.processes import is_alive, kill, stop
from jobs.stack.services import (
    DETECTION_JOB,
    DETECTION_MODULE,
    DISPATCH_CONFIG,
    detection_arguments,
    newest_checkpoint,
)
from jobs.stack.state import Ports, StackRecord
from jobs.stack.waiting import wait_until

_FLINK_GRACE_S: Final = 10.0
_SAVEPOINT_S: Final = 120.0
_KAFKA_GRACE_S: Final = 15.0
_LIVE_JOB_STATES: Final = frozenset({"INITIALIZING", "CREATED", "RUNNING", "FAILING", "RESTARTING", "RECONCILING"})


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process of the stack, whether it runs, and where its log is."""

    name: str
    pid: int
    alive: bool
    log: Path


class Stack:
    """One Kafka broker and one Flink cluster whose state, data and logs are in one folder.

    Stacks in different folders do not touch each other. Every method may be called from another process than the one
    that called `up`: what runs is read from the folder.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.layout = Layout((home or default_home()).absolute())
        self._record = StackRecord(self.layout.state)

    # --- What is there ------------------------------------------------------------------------------------------------

    @property
    def bootstrap_servers(self) -> str:
        """The address Kafka's clients connect to."""
        return f"{LOOPBACK}:{self._record.required().ports.kafka}"

    @property
    def rest_url(self) -> str:
        """The address of Flink's REST interface and web pages."""
        return f"http://{LOOPBACK}:{self._record.required().ports.flink_rest}"

    @property
    def ports(self) -> Ports:
        """The ports of this stack."""
        return self._record.required().ports

    @property
    def flink(self) -> FlinkCluster:
        """The running cluster; its `get` asks the REST interface anything."""
        self._record.required()
        return flink_client(self.layout)

    def status(self) -> list[ProcessStatus]:
        """Return every process that `up` started and `down` has not stopped."""
        return [ProcessStatus(each.name, each.pid, is_alive(each), Path(each.log)) for each in self._record.processes()]

    def jobs(self) -> list[dict[str, str]]:
        """Return id (`jid`), name and state of the cluster's jobs."""
        jobs = self.flink.get("/jobs/overview")["jobs"]
        return [{key: str(job[key]) for key in ("jid", "name", "state")} for job in jobs]

    # --- Up and down --------------------------------------------------------------------------------------------------

    def up(
        self,
        *,
        taskmanagers: int = 2,
        job: bool = True,
        resume: bool = True,
        kafka_port: int | None = None,
        rest_port: int | None = None,
        settings: Mapping[str, str] | None = None,
        dispatch_config: Path = DISPATCH_CONFIG,
    ) -> None:
        """Start what does not run yet and return when all of it answers.

        Args:
            taskmanagers: how many TaskManagers of one slot each.
            job: whether to start the services and the detection job as well.
            resume: whether the detection job goes on from its newest checkpoint, or from its configured offsets.
            kafka_port: Kafka's port; by default the usual one, or a free one when that is taken.
            rest_port: the port of Flink's REST interface and web pages; likewise.
            settings: Flink settings that win over the configuration file, when nothing runs yet.
            dispatch_config: the configuration of dispatch, unless it runs already.

        Raises:
            SentinelError: when something is missing, a demanded port is taken, or a process ends; what this call had
                started is stopped again, unless it was the job alone that failed.
        """
        with self._alone():
            before = self._record.alive()
            try:
                settle(
                    self.layout,
                    self._record,
                    taskmanagers=taskmanagers,
                    kafka_port=kafka_port,
                    rest_port=rest_port,
                    settings=dict(settings or {}),
                )
                launch_kafka_and_flink(self.layout, self._record, taskmanagers)
                if job:
                    launch_services(self.layout, self._record, self.bootstrap_servers, dispatch_config.absolute())
            except SentinelError as problem:
                if stopped := self._stop_all_but(before):
                    said, names = str(problem).removesuffix("."), ", ".join(stopped)
                    raise SentinelError(f"{said}. Stopped again, since this `up` had begun it: {names}.") from problem
                raise
            except BaseException:
                self._stop_all_but(before)
                raise
            if job:
                self.submit_detection_job(resume=resume)

    def down(self) -> None:
        """Stop everything `up` started, Kafka last; data and checkpoints stay for the next `up`."""
        with self._alone():
            self._stop({each.name for each in self._record.processes()})

    def delete(self) -> None:
        """Stop everything and remove the folder, data and checkpoints included."""
        self.down()
        shutil.rmtree(self.layout.home)

    # --- Jobs ---------------------------------------------------------------------------------------------------------

    def submit_detection_job(self, *, resume: bool = True) -> str:
        """Start the detection job, from its newest checkpoint if so wanted, unless it is there; return its id."""
        for job in self.jobs():
            if job["name"] == DETECTION_JOB and job["state"] in _LIVE_JOB_STATES:
                return job["jid"]
        checkpoint = newest_checkpoint(self.layout, self._record.required().detection_jobs) if resume else None
        # The new job owns what it started from and removes it when it has a newer one.
        options = ["--fromSavepoint", checkpoint.as_uri(), "--claimMode", "CLAIM"] if checkpoint else []
        job_id = self.run_job(DETECTION_MODULE, detection_arguments(self.bootstrap_servers), run_options=options)
        self._record.add_detection_job(job_id)
        return job_id

    def run_job(self, program: str | Path, arguments: Sequence[str] = (), *, run_options: Sequence[str] = ()) -> str:
        """Submit a Python program, a module's name or a file, as a detached Flink job and return the job's id."""
        return self.flink.run_job(program, arguments, run_options=run_options)

    def job_state(self, job_id: str) -> str:
        """Return Flink's word for the state of a job, such as RUNNING."""
        return str(self.flink.get(f"/jobs/{job_id}")["state"])

    def stop_job(self, job_id: str) -> Path:
        """Stop a job with a savepoint and return the savepoint's folder, from which another can start."""
        cluster = self.flink
        asked = cluster.post(f"/jobs/{job_id}/stop", {"targetDirectory": self.layout.savepoints.as_uri()})
        progress = f"/jobs/{job_id}/savepoints/{asked['request-id']}"
        wait_until(
            lambda: cluster.get(progress)["status"]["id"] == "COMPLETED",
            f"the savepoint of job {job_id}",
            deadline_s=_SAVEPOINT_S,
        )
        outcome = cluster.get(progress)["operation"]
        if "location" not in outcome:
            cause = str(outcome.get("failure-cause", {}).get("stack-trace", "no cause given")).splitlines()[0]
            raise SentinelError(f"Flink made no savepoint of job {job_id} ({cause}).")
        wait_until(lambda: self.job_state(job_id) == "FINISHED", f"the end of job {job_id}", deadline_s=_SAVEPOINT_S)
        return Path(urlsplit(outcome["location"]).path)

    # --- Faults -------------------------------------------------------------------------------------------------------

    def kill_taskmanager(self, number: int) -> None:
        """Kill a TaskManager (1 is the first) as a crash would."""
        kill(self._record.process(taskmanager_name(number)))

    def start_taskmanager(self) -> str:
        """Start a TaskManager, in place of the first dead one or as one more; return its name once it is registered."""
        with self._alone():
            alive = self._record.alive()
            number = next(number for number in count(1) if taskmanager_name(number) not in alive)
            launch_taskmanager(self.layout, self._record, number)
            return taskmanager_name(number)

    def wait_for_taskmanagers(self, number: int, *, deadline_s: float = CLUSTER_S) -> None:
        """Return when the JobManager knows exactly that many TaskManagers."""
        cluster = self.flink
        wait_until(lambda: len(cluster.taskmanager_ids()) == number, f"{number} TaskManagers", deadline_s=deadline_s)

    def kill_broker(self) -> None:
        """Kill Kafka as a crash would."""
        kill(self._record.process(kafka_broker.NAME))

    def restart_broker(self) -> None:
        """Stop Kafka, if it runs, and start it again on the same port with the same data."""
        with self._alone():
            ports = self._record.required().ports
            stop([self._record.process(kafka_broker.NAME)], grace_s=_KAFKA_GRACE_S)
            process = kafka_broker.start_broker(self.layout, ports, environment(self.layout))
            self._record.add(process)
            kafka_broker.wait_for_broker(process, ports)

    # ------------------------------------------------------------------------------------------------------------------

    def _stop_all_but(self, names: Collection[str]) -> list[str]:
        """Stop the others, and return their names."""
        others = [each.name for each in self._record.processes() if each.name not in names]
        self._stop(others)
        return others

    def _stop(self, names: Collection[str]) -> None:
        processes = [process for process in self._record.processes() if process.name in names]
        # Kafka last: what still writes would wait for it in vain.
        stop([process for process in processes if process.name != kafka_broker.NAME], grace_s=_FLINK_GRACE_S)
        stop([process for process in processes if process.name == kafka_broker.NAME], grace_s=_KAFKA_GRACE_S)
        if processes:
            self._record.remove(names)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other commands from changing this stack at the same time."""
        self.layout.home.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SentinelError(f"Another command is changing the stack in {self.layout.home}.") from None
            yield
