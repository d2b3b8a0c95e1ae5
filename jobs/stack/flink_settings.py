"""Flink's settings for one stack: the project's configuration and what only this machine knows."""

import re
from pathlib import Path
from typing import Final

import yaml

from jobs.errors import SentinelError
from jobs.stack.layout import CONFIGURATION, PYTHON, Layout, flink_wheel
from jobs.stack.ports import LOOPBACK
from jobs.stack.state import Ports

Settings = dict[str, str]

_BYTES: Final = {"b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}


def read_settings(path: Path = CONFIGURATION / "config.yaml") -> Settings:
    """Return a Flink configuration file with flat keys, as text."""
    return {str(key): _text(value) for key, value in yaml.safe_load(path.read_text()).items()}


def stack_settings(layout: Layout, ports: Ports, taskmanagers: int, overrides: Settings) -> Settings:
    """Return the whole configuration of a stack; `overrides` wins."""
    return (
        read_settings()
        | {
            # Everything on the loopback interface.
            "jobmanager.rpc.address": LOOPBACK,
            "jobmanager.rpc.port": str(ports.flink_rpc),
            "jobmanager.bind-host": LOOPBACK,
            "rest.address": LOOPBACK,
            "rest.bind-address": LOOPBACK,
            "rest.port": str(ports.flink_rest),
            "rest.bind-port": str(ports.flink_rest),
            "taskmanager.host": LOOPBACK,
            "taskmanager.bind-host": LOOPBACK,
            # What is asked of REST is what was true at the question before, not ten seconds ago.
            "metrics.fetcher.update-interval": "100 ms",
            # One slot each, all used.
            "parallelism.default": str(taskmanagers),
            "execution.checkpointing.dir": layout.checkpoints.as_uri(),
            "execution.checkpointing.savepoint-dir": layout.savepoints.as_uri(),
            # Thread mode needs the interpreter named, for the processes and for the client.
            "python.executable": str(PYTHON),
            "python.client.executable": str(PYTHON),
            "io.tmp.dirs": str(layout.flink / "tmp"),
            "env.java.opts.all": _module_flags(),
        }
        | overrides
    )


def write_settings(settings: Settings, folder: Path) -> None:
    """Write `config.yaml`, the file that every Flink process reads at its start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings, width=10_000))


def taskmanager_flags(settings: Settings) -> list[str]:
    """Return the flags that Flink's own scripts would give a TaskManager's JVM for these settings."""
    heap = _sum(settings, "taskmanager.memory.framework.heap.size", "taskmanager.memory.task.heap.size")
    direct = _sum(
        settings,
        "taskmanager.memory.framework.off-heap.size",
        "taskmanager.memory.task.off-heap.size",
        "taskmanager.memory.network.max",
    )
    metaspace = _sum(settings, "taskmanager.memory.jvm-metaspace.size")
    return [
        "-XX:+UseG1GC",
        f"-Xmx{heap}",
        f"-Xms{heap}",
        f"-XX:MaxDirectMemorySize={direct}",
        f"-XX:MaxMetaspaceSize={metaspace}",
        *settings["env.java.opts.all"].split(),
    ]


def jobmanager_flags(settings: Settings) -> list[str]:
    """Return the flags that Flink's own scripts would give the JobManager's JVM for these settings."""
    heap = _sum(settings, "jobmanager.memory.heap.size")
    metaspace = _sum(settings, "jobmanager.memory.jvm-metaspace.size")
    return [
        f"-Xmx{heap}",
        f"-Xms{heap}",
        f"-XX:MaxMetaspaceSize={metaspace}",
        *settings["env.java.opts.all"].split(),
    ]


def bytes_of(text: str) -> int:
    """Return a memory size of Flink's notation, such as `128 mb`, in bytes."""
    match = re.fullmatch(r"(\d+)\s*([a-z]*)", text.strip().lower())
    if match is None or (match[2] or "b") not in _BYTES:
        raise SentinelError(f"{text!r} is no memory size; write for example `128 mb`.")
    return int(match[1]) * _BYTES[match[2] or "b"]


def _sum(settings: Settings, *keys: str) -> int:
    return sum(bytes_of(settings[key]) for key in keys)


def _module_flags() -> str:
    """Return the flags that open JDK modules to Flink, from the distribution's own configuration."""
    default = yaml.safe_load((flink_wheel() / "conf" / "config.yaml").read_text())
    return str(default["env"]["java"]["opts"]["all"]).strip()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
