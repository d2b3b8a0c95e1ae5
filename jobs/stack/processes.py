"""Processes that outlive the command that starts them, known by number and time of start."""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import psutil

# A recycled process number belongs to a process that started later; the kernel's clock of starts drifts by less.
_SAME_START_S: Final = 2.0


class ManagedProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was started here; `started_at` (seconds since the epoch) tells it from a later one of its pid."""

    name: str
    pid: int
    started_at: float
    log: str
    argv: tuple[str, ...]


def start(name: str, argv: Sequence[str], *, log: Path, env: Mapping[str, str]) -> ManagedProcess:
    """Start a process in a session of its own, its output appended to a log whose predecessor is kept as `.1`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))
    # posix_spawn rather than Popen: nobody waits for these, and they survive a Ctrl-C at the terminal.
    pid = os.posix_spawn(
        argv[0],
        list(argv),
        dict(env),
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    started_at = psutil.Process(pid).create_time()
    return ManagedProcess(name=name, pid=pid, started_at=started_at, log=str(log), argv=tuple(argv))


def is_alive(process: ManagedProcess) -> bool:
    """Return whether that very process runs; one that has ended, or another one of the same number, does not count."""
    return _find(process) is not None


def stop(processes: Iterable[ManagedProcess], *, grace_s: float) -> None:
    """Ask processes to end, all at once, and kill what is left after the grace, with the children they had."""
    living = [found for process in processes if (found := _find(process)) is not None]
    family = [*living, *(child for parent in living for child in _children(parent))]
    for parent in living:
        _signal(parent, kill=False)
    _, left = psutil.wait_procs(family, timeout=grace_s)
    for survivor in left:
        _signal(survivor, kill=True)
    psutil.wait_procs(left, timeout=grace_s)


def kill(process: ManagedProcess) -> None:
    """Kill a process as a crash would (SIGKILL) and wait until it is gone."""
    found = _find(process)
    if found is not None:
        _signal(found, kill=True)
        psutil.wait_procs([found], timeout=10.0)


def _find(process: ManagedProcess) -> psutil.Process | None:
    try:
        found = psutil.Process(process.pid)
        same = abs(found.create_time() - process.started_at) < _SAME_START_S
        if not same:
            return None
        if found.status() == psutil.STATUS_ZOMBIE:
            _reap(process.pid)
            return None
    except psutil.NoSuchProcess:
        return None
    return found


def _reap(pid: int) -> None:
    """Collect an ended process, if it is a child of this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _children(parent: psutil.Process) -> list[psutil.Process]:
    try:
        return parent.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        if kill:
            process.kill()
        else:
            process.terminate()
