"""The Flink SQL client on a stack: statements over the topics, run in the client's own process or on the cluster."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import schemas
from jobs.errors import SentinelError
from jobs.stack.flink_settings import Settings, read_settings, write_settings
from jobs.stack.java import find_java
from jobs.stack.launch import environment
from jobs.stack.layout import CONFIGURATION, Layout

TABLES: Final = Path(str(schemas.__file__)).parent / "sql" / "tables.sql"
"""The tables over the topics; queries lie beside it."""
_ADDRESS: Final = "127.0.0.1:9092"
_CLIENT_CLASS: Final = "org.apache.flink.table.client.SqlClient"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_SETTINGS: Final = {
    "sql-client.execution.result-mode": "tableau",
    # Results are cut off at 30 characters otherwise.
    "table.display.max-column-width": "1000",
    "parallelism.default": "1",
}


def tables_of(bootstrap_servers: str) -> str:
    """Return the statements that create all tables over the topics of a Kafka cluster."""
    return TABLES.read_text().replace(_ADDRESS, bootstrap_servers)


def run_sql(
    layout: Layout, bootstrap_servers: str, statements: str, *, on_cluster: bool, tell: Callable[[str], None]
) -> None:
    """Run statements to their end and tell each line that the client prints.

    By default queries run inside the client, because the detection job has all slots of the cluster. Raises
    SentinelError with the client's reason when a statement is refused or fails.
    """
    with _prepared(layout, bootstrap_servers, on_cluster=on_cluster) as (argv, env, folder):
        file = folder / "statements.sql"
        file.write_text(statements)
        argv += ["-f", str(file)]
        log = layout.log_of("sql-client")
        lines: list[str] = []
        with (
            log.open("w") as stderr,
            subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True) as client,
        ):
            for line in client.stdout or ():
                lines.append(_COLOUR.sub("", line.rstrip("\n")))
                tell(lines[-1])
    # The client says that a statement failed, and ends as if it had not.
    refused = [place for place, line in enumerate(lines) if "[ERROR]" in line]
    if client.returncode != 0 or refused:
        reason = " ".join(lines[place + 1] for place in refused[:1] if place + 1 < len(lines))
        raise SentinelError(f"The SQL client failed{f' ({reason})' if reason else ''}: see {log}")


def sql_session(layout: Layout, bootstrap_servers: str, *, on_cluster: bool) -> None:
    """Hold a session at the terminal, with the tables made."""
    with (
        _prepared(layout, bootstrap_servers, on_cluster=on_cluster) as (argv, env, _),
        layout.log_of("sql-client").open("w") as stderr,
    ):
        done = subprocess.run(argv, env=env, stderr=stderr, check=False)
    if done.returncode != 0:
        raise SentinelError(f"The SQL client failed: see {layout.log_of('sql-client')}")


@contextmanager
def _prepared(
    layout: Layout, bootstrap_servers: str, *, on_cluster: bool
) -> Iterator[tuple[list[str], dict[str, str], Path]]:
    """Yield the client's command and environment, and a folder that lasts as long as it is needed."""
    settings = read_settings(layout.flink / "conf" / "config.yaml")
    # The client serves its own gateway: on the JobManager's port it would not start.
    kept = {key: value for key, value in settings.items() if not key.startswith("rest.bind")}
    with tempfile.TemporaryDirectory(prefix="sentinel-sql-") as name:
        folder = Path(name)
        # A query inside the client has a JobManager of its own, which takes any free port.
        target = {"execution.target": "remote"} if on_cluster else {"execution.target": "local", "rest.port": "0"}
        write_settings(kept | _SETTINGS | target, folder)
        tables = folder / "tables.sql"
        tables.write_text(tables_of(bootstrap_servers))
        history = layout.home / "sql-history"
        argv = [*_client(layout, settings), "embedded", "-hist", str(history), "-i", str(tables)]
        env = environment(layout) | {
            "FLINK_HOME": str(layout.flink),
            "FLINK_CONF_DIR": str(folder),
            "FLINK_PLUGINS_DIR": str(layout.flink / "plugins"),
        }
        yield argv, env, folder


def _client(layout: Layout, settings: Settings) -> Sequence[str]:
    return [
        find_java(),
        "-Xmx512m",
        *settings["env.java.opts.all"].split(),
        f"-Dlog4j.configurationFile={CONFIGURATION / 'log4j-client.properties'}",
        "-classpath",
        f"{layout.flink / 'lib'}/*:{layout.flink / 'opt'}/*",
        _CLIENT_CLASS,
    ]
