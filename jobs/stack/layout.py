"""Where the local stack keeps its files, and where it finds what `make setup` has fetched."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs.errors import SentinelError

PROJECT: Final = Path(__file__).resolve().parents[2]
CONFIGURATION: Final = PROJECT / "flink-conf"
# The environment's interpreter; the Flink processes and the services use the same one.
VENV: Final = Path(sys.prefix)
PYTHON: Final = VENV / "bin" / "python"


def default_home() -> Path:
    """Return the folder of the stack a person starts without saying where: SENTINEL_HOME, or one in the project."""
    return Path(os.environ.get("SENTINEL_HOME") or PROJECT / ".sentinel" / "stack").absolute()


def numba_cache() -> Path:
    """Return the folder of compiled kernels, which all processes on this machine share."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or PROJECT / ".sentinel" / "numba").absolute()


def archives(kind: str) -> Path:
    """Return the folder of Java archives of a kind, `kafka` or `connectors`."""
    folder = Path(os.environ.get("SENTINEL_LIB") or PROJECT / ".sentinel" / "lib") / kind
    if not any(folder.glob("*.jar")):
        raise SentinelError(f"The Java archives in {folder} are missing: run `make setup`.")
    return folder


def flink_wheel() -> Path:
    """Return the Flink distribution inside the apache-flink wheel; it is only read."""
    spec = importlib.util.find_spec("pyflink")
    if spec is None or not spec.submodule_search_locations:
        raise SentinelError("apache-flink is not installed in this environment: run `make setup`.")
    return Path(spec.submodule_search_locations[0])


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files of one stack, all below its home."""

    home: Path

    @property
    def state(self) -> Path:
        """What was started, as JSON."""
        return self.home / "state.json"

    @property
    def lock(self) -> Path:
        """Held while a command changes the stack."""
        return self.home / "lock"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.home / "logs"

    @property
    def kafka(self) -> Path:
        """The broker's settings and data."""
        return self.home / "kafka"

    @property
    def flink(self) -> Path:
        """The Flink distribution of this stack: links into the wheel, and the settings."""
        return self.home / "flink"

    @property
    def checkpoints(self) -> Path:
        """Where jobs write their checkpoints."""
        return self.home / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Where savepoints go unless told otherwise."""
        return self.home / "savepoints"

    def log_of(self, process: str) -> Path:
        """Return the log file of a process by its name."""
        return self.logs / f"{process}.log"
