"""What a stack has started, kept as JSON in its home."""

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from jobs.errors import SentinelError
from jobs.stack.processes import ManagedProcess, is_alive


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The ports of a stack; they are asked for again at its next start, so that bookmarks keep working."""

    kafka: int
    kafka_controller: int
    flink_rest: int
    flink_rpc: int
    ingestion_http: int = 4318
    ingestion_grpc: int = 4317
    dispatch: int = 9093


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, by name, and the ids the detection job has run under."""

    version: int = 1
    ports: Ports
    processes: dict[str, ManagedProcess] = {}
    detection_jobs: tuple[str, ...] = ()


class StackRecord:
    """The state file of one stack; every change is on disk before the next process is started."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> StackState | None:
        """Return the recorded state, or None when nothing was ever started there."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=StackState)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise SentinelError(
                f"{self._path} cannot be read ({error}); stop the stack's processes by hand, then remove it."
            ) from error

    def required(self) -> StackState:
        """Return the recorded state, or raise when nothing was ever started there."""
        state = self.read()
        if state is None:
            raise SentinelError(f"There is no stack in {self._path.parent}: run `sentinel up`.")
        return state

    def process(self, name: str) -> ManagedProcess:
        """Return the process of a name, whether it still runs or not."""
        try:
            return self.required().processes[name]
        except KeyError:
            raise SentinelError(f"The stack in {self._path.parent} has no process {name}.") from None

    def processes(self) -> list[ManagedProcess]:
        """Return what was started and not yet stopped, in the order of starting."""
        state = self.read()
        return list(state.processes.values()) if state else []

    def alive(self) -> frozenset[str]:
        """Return the names of the processes that run."""
        return frozenset(process.name for process in self.processes() if is_alive(process))

    def begin(self, ports: Ports) -> None:
        """Record a stack of which nothing has been started."""
        previous = self.read()
        self._write(StackState(ports=ports, detection_jobs=previous.detection_jobs if previous else ()))

    def add(self, process: ManagedProcess) -> None:
        """Record a process that was started."""
        state = self.required()
        self._write(msgspec.structs.replace(state, processes=state.processes | {process.name: process}))

    def add_detection_job(self, job_id: str) -> None:
        """Record the id of a detection job that Flink took."""
        state = self.required()
        self._write(msgspec.structs.replace(state, detection_jobs=(*state.detection_jobs, job_id)))

    def remove(self, names: Collection[str]) -> None:
        """Record that processes were stopped."""
        state = self.required()
        left = {name: process for name, process in state.processes.items() if name not in names}
        self._write(msgspec.structs.replace(state, processes=left))

    def _write(self, state: StackState) -> None:
        """Replace the file in one step, so that a crash in the middle leaves the previous record."""
        draft = self._path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(state), indent=2))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
