"""Peers that are Python programs: their environment, their processes, their commands."""

import contextlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import psutil
from msgspec import Struct

from jobs.errors import SentinelError
from jobs.stack.ports import LOOPBACK, free_port
from jobs.stack.processes import ManagedProcess, is_alive, start, stop
from jobs.stack.waiting import wait_until
from tests.benchmarks.peers.environment import HERE, archives_of, environment_of, variables, version_of
from tests.benchmarks.peers.peer import Running, Task

_GRACE_S: Final = 10.0
_PREPARED_S: Final = 30.0
_ERROR: Final = re.compile(r"[\w.]*(Error|Exception)\b.*")
_PACKAGE: Final = "tests.benchmarks.peers"
_SPARK: Final = {
    "spark.ui.enabled": "false",
    # As many as cores; 200 by default.
    "spark.sql.shuffle.partitions": "2",
}

Commands = Callable[[Path, Task], list[list[str]]]


class Program(Struct, frozen=True, kw_only=True):
    """A Python program as its framework's documentation would start it: `commands` has one for each process."""

    name: str
    way: str
    commands: Commands
    prepare: Callable[[Path, Task], list[str]] | None = None
    """What is run once before the first start."""
    warm_up_ms: int = 0
    judges_calls: bool = True

    def title(self) -> str:
        """Return its name and version."""
        return version_of(self.name)

    def found_topic(self, measurement: str) -> str:
        """Return a topic of its own for each measurement."""
        return f"peers-found-{measurement}"

    def start(self, task: Task) -> Running:
        """Start its processes."""
        return Processes(self, task)


class Processes:
    """The processes of a program."""

    def __init__(self, program: Program, task: Task) -> None:
        self._name = program.name
        self._task = task
        self._environment = environment_of(program.name)
        self._commands = program.commands(self._environment, task)
        self._processes: list[ManagedProcess] = []
        task.folder.mkdir(parents=True)
        if program.prepare:
            first = self._start(program.prepare(self._environment, task), 0, "prepare")
            wait_until(lambda: not is_alive(first), f"{self._name} to prepare its folder", deadline_s=_PREPARED_S)
        self.restart()

    def pids(self) -> list[int]:
        """Return the processes."""
        return [each.pid for each in self._processes]

    def check(self) -> None:
        """Raise SentinelError if one has ended."""
        for each in self._processes:
            if not is_alive(each):
                raise SentinelError(f"{self._name} ended by itself: {_reason(Path(each.log))}")

    def kill(self) -> None:
        """Kill them and their children at once."""
        family: list[psutil.Process] = []
        for pid in self.pids():
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(pid)
                family += [parent, *parent.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, timeout=_GRACE_S)

    def restart(self) -> None:
        """Start them with the folder as it is."""
        self._processes = [self._start(argv, number, f"worker-{number}") for number, argv in enumerate(self._commands)]

    def stop(self) -> None:
        """Stop them."""
        stop(self._processes, grace_s=_GRACE_S)

    def _start(self, argv: list[str], worker: int, name: str) -> ManagedProcess:
        task = self._task
        told = {
            "PEER_KAFKA": task.bootstrap_servers,
            "PEER_CALLS": task.calls,
            "PEER_FOUND": task.found,
            "PEER_FOLDER": str(task.folder),
            "PEER_WORKER": str(worker),
        }
        return start(name, argv, log=task.logs / f"{name}.log", env=variables(self._environment) | told)


def _twice(*arguments: str) -> Commands:
    """Return the commands of two equal processes that share the partitions among them."""
    return lambda environment, _: [[str(environment / "bin" / "python"), *arguments]] * 2


def _bytewax(environment: Path, task: Task) -> list[list[str]]:
    first = free_port(2101)
    addresses = f"{LOOPBACK}:{first};{LOOPBACK}:{free_port(2102, frozenset({first}))}"
    run = [str(environment / "bin" / "python"), "-m", "bytewax.run", f"{_PACKAGE}.bytewax.flow:flow"]
    return [[*run, "-i", str(i), "-a", addresses, "-r", str(task.folder), "-s", "10", "-b", "0"] for i in range(2)]


def _bytewax_recovery(environment: Path, task: Task) -> list[str]:
    return [str(environment / "bin" / "python"), "-m", "bytewax.recovery", str(task.folder), "2"]


def _spark(environment: Path, task: Task) -> list[list[str]]:
    jars = ",".join(str(jar) for jar in sorted(archives_of(environment).glob("*.jar")))
    settings = _SPARK | {"spark.sql.warehouse.dir": str(task.folder / "warehouse")}
    options = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    submit = [str(environment / "bin" / "spark-submit"), "--master", "local[2]", "--driver-memory", "2g"]
    return [[*submit, "--jars", jars, *options, str(HERE / "spark" / "main.py")]]


def programs() -> Iterable[Program]:
    """Yield the peers of Python, the plain loop first."""
    yield Program(
        name="plain",
        way="a pickle of state and offsets every 10 s",
        commands=_twice("-m", f"{_PACKAGE}.plain.main"),
    )
    yield Program(
        name="quix",
        way="RocksDB, changelog topic, commits every 5 s",
        commands=_twice("-m", f"{_PACKAGE}.quix.main"),
    )
    yield Program(name="bytewax", way="SQLite snapshots every 10 s", commands=_bytewax, prepare=_bytewax_recovery)
    yield Program(
        name="faust",
        way="RocksDB, changelog topic, commits every 2.8 s",
        commands=_twice("-m", "faust", "-A", f"{_PACKAGE}.faust.app", "worker", "--without-web", "-l", "info"),
    )
    yield Program(name="spark", way="checkpoint at every micro-batch", commands=_spark)


def _reason(log: Path) -> str:
    """Return the last line of a log that names an error, or its last."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return f"{(errors or lines or ['no reason given'])[-1]} (see {log})"
