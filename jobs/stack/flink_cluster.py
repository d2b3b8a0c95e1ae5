"""The stack's Flink cluster: a JobManager and TaskManagers, run from the apache-flink wheel."""

import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from jobs.errors import SentinelError
from jobs.stack.flink_settings import Settings, jobmanager_flags, taskmanager_flags, write_settings
from jobs.stack.java import find_java
from jobs.stack.layout import CONFIGURATION, PYTHON, Layout, archives, flink_wheel
from jobs.stack.ports import LOOPBACK
from jobs.stack.processes import ManagedProcess, start

JOBMANAGER: Final = "jobmanager"
_JOBMANAGER_CLASS: Final = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASKMANAGER_CLASS: Final = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_CLIENT_CLASS: Final = "org.apache.flink.client.cli.CliFrontend"
_REQUEST_S: Final = 10.0
_SUBMIT_S: Final = 180.0


class FlinkCluster:
    """Starts Flink's processes for one stack and talks to its JobManager.

    Flink's own start scripts are left aside: each starts three more JVMs to compute flags that the settings give.
    """

    def __init__(self, layout: Layout, settings: Settings, env: dict[str, str]) -> None:
        self._layout = layout
        self._settings = settings
        self._conf = layout.flink / "conf"
        self._env = env | {
            "FLINK_HOME": str(layout.flink),
            "FLINK_CONF_DIR": str(self._conf),
            "FLINK_LIB_DIR": str(layout.flink / "lib"),
            "FLINK_OPT_DIR": str(layout.flink / "opt"),
            "FLINK_PLUGINS_DIR": str(layout.flink / "plugins"),
        }
        self._rest_url = f"http://{LOOPBACK}:{settings['rest.port']}"
        # Kept: making one costs more than asking. The machine's proxy has no business with the loopback interface.
        self._client = httpx.Client(base_url=self._rest_url, timeout=_REQUEST_S, trust_env=False)

    def prepare(self) -> None:
        """Lay out the distribution as links into the wheel, which stays untouched, and write the settings."""
        wheel = flink_wheel()
        connectors = archives("connectors")
        flink = self._layout.flink
        # flink-python in lib as well: loaded by a job's own class loader, the second job on a TaskManager fails.
        jars = [jar for folder in (wheel / "lib", wheel / "opt", connectors) for jar in folder.glob("*.jar")]
        # Only the SQL client needs these two.
        for_sql = [jar for jar in jars if jar.name.startswith(("flink-sql-client", "flink-sql-gateway"))]
        _link(flink / "lib", [jar for jar in jars if jar not in for_sql])
        _link(flink / "opt", [*(wheel / "opt").glob("flink-python-*.jar"), *for_sql])
        _link(flink / "plugins", [wheel / "plugins" / "metrics-prometheus"])
        (flink / "tmp").mkdir(exist_ok=True)
        for folder in (self._layout.checkpoints, self._layout.savepoints):
            folder.mkdir(exist_ok=True)
        write_settings(self._settings, self._conf)

    def start_jobmanager(self) -> ManagedProcess:
        """Start the JobManager."""
        return self._start(JOBMANAGER, _JOBMANAGER_CLASS, jobmanager_flags(self._settings))

    def start_taskmanager(self, name: str, resource_id: str) -> ManagedProcess:
        """Start a TaskManager that registers under the resource id."""
        own = ("-D", f"taskmanager.resource-id={resource_id}")
        return self._start(name, _TASKMANAGER_CLASS, taskmanager_flags(self._settings), own)

    def get(self, path: str) -> Any:
        """Return the JobManager's answer to a GET request of its REST interface."""
        return self._ask("GET", path)

    def post(self, path: str, document: object) -> Any:
        """Return the JobManager's answer to a POST request of its REST interface; the document is sent as JSON."""
        return self._ask("POST", path, document)

    def taskmanager_ids(self) -> frozenset[str]:
        """Return the resource ids of the TaskManagers the JobManager knows; none while it does not answer."""
        try:
            return frozenset(each["id"] for each in self.get("/taskmanagers")["taskmanagers"])
        except SentinelError:
            return frozenset()

    def run_job(self, program: str | Path, arguments: Sequence[str], *, run_options: Sequence[str] = ()) -> str:
        """Submit a Python program, a module's name or a file, as a detached job by `flink run`; return the job's id."""
        what = ("-py", str(program)) if isinstance(program, Path) else ("-pym", program)
        argv = [
            find_java(),
            "-Xmx512m",
            *self._settings["env.java.opts.all"].split(),
            f"-Dlog4j.configurationFile={CONFIGURATION / 'log4j-client.properties'}",
            "-classpath",
            f"{self._layout.flink / 'lib'}/*",
            _CLIENT_CLASS,
            "run",
            "--detached",
            *run_options,
            *("-pyclientexec", str(PYTHON), "-pyexec", str(PYTHON), *what),
            *arguments,
        ]
        log = self._layout.log_of(f"submit-{program.stem if isinstance(program, Path) else program}")
        try:
            done = subprocess.run(argv, env=self._env, capture_output=True, text=True, timeout=_SUBMIT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise SentinelError(f"Submitting {program} took longer than {_SUBMIT_S:g} s.") from error
        log.write_text(done.stdout + done.stderr)
        submitted = re.search(r"JobID ([0-9a-f]{32})", done.stdout)
        if done.returncode != 0 or submitted is None:
            raise SentinelError(f"Flink did not take the job {program}{_reason(done.stdout + done.stderr)}: see {log}")
        return submitted[1]

    def _ask(self, method: str, path: str, document: object = None) -> Any:
        try:
            answer = self._client.request(method, path, json=document)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise SentinelError(f"Flink's JobManager does not answer {self._rest_url}{path}: {error}") from error
        return answer.json()

    def _start(self, name: str, main_class: str, flags: Sequence[str], own: Sequence[str] = ()) -> ManagedProcess:
        log = self._layout.log_of(name)
        argv = [
            find_java(),
            *flags,
            f"-XX:ErrorFile={self._layout.logs}/{name}-crash-%p.log",
            # Flink's web pages show the file named here.
            f"-Dlog.file={log}",
            f"-Dlog4j.configurationFile={CONFIGURATION / 'log4j-flink.properties'}",
            "-classpath",
            f"{self._layout.flink / 'lib'}/*",
            main_class,
            *("--configDir", str(self._conf)),
            *own,
        ]
        return start(name, argv, log=log, env=self._env)


def _reason(output: str) -> str:
    """Return what a failed submission complained of, as an addition to a sentence."""
    # Flink repeats the failure in its own words after the first line of its log; what comes before is the cause.
    before_the_log = re.split(r"^ERROR ", output, maxsplit=1, flags=re.MULTILINE)[0]
    complaints = re.findall(r"^(?:Caused by: )?[\w.$]*(?:Error|Exception): (.+)$", before_the_log, re.MULTILINE)
    complaints = complaints or before_the_log.strip().splitlines()[:1]
    return f" ({'; '.join(complaint.strip() for complaint in complaints[-2:])})" if complaints else ""


def _link(folder: Path, targets: Iterable[Path]) -> None:
    """Fill a folder with links to the targets, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for target in targets:
        (folder / target.name).symlink_to(target)
