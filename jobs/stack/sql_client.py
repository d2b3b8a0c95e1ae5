"""The Flink SQL client on a stack: statements over the topics, run in the client's own process or on the cluster."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
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
_SETTINGS: Final = {
    "sql-client.execution.result-mode": "tableau",
    # Results are cut off at 30 characters otherwise.
    "sql-client.display.max-column-width": "120",
    "parallelism.default": "1",
}


def tables_of(bootstrap_servers: str) -> str:
    """Return the statements that create all tables over the topics of a Kafka cluster."""
    return TABLES.read_text().replace(_ADDRESS, bootstrap_servers)


def run_sql(
    layout: Layout, bootstrap_servers: str, statements: str | None, *, on_cluster: bool, capture: bool = False
) -> str:
    """Run statements, or a session at the terminal without any; return what was printed if it is captured.

    By default queries run inside the client, because the detection job has all slots of the cluster. Raises
    SentinelError when the client refuses a statement or a query fails.
    """
    settings = read_settings(layout.flink / "conf" / "config.yaml")
    # The client serves its own gateway: on the JobManager's port it would not start.
    kept = {key: value for key, value in settings.items() if not key.startswith("rest.bind")}
    with tempfile.TemporaryDirectory(prefix="sentinel-sql-") as name:
        folder = Path(name)
        write_settings(kept | _SETTINGS | {"execution.target": "remote" if on_cluster else "local"}, folder)
        tables = folder / "tables.sql"
        tables.write_text(tables_of(bootstrap_servers))
        argv = [*_client(layout, settings), "embedded", "-i", str(tables)]
        if statements is not None:
            file = folder / "statements.sql"
            file.write_text(statements)
            argv += ["-f", str(file)]
        env = environment(layout) | {
            "FLINK_HOME": str(layout.flink),
            "FLINK_CONF_DIR": str(folder),
            "FLINK_PLUGINS_DIR": str(layout.flink / "plugins"),
        }
        log = layout.log_of("sql-client")
        with log.open("w") as stderr:
            stdout = subprocess.PIPE if capture else None
            done = subprocess.run(argv, env=env, stdout=stdout, stderr=stderr, text=True, check=False)
    if done.returncode != 0:
        reasons = re.findall(r"^Caused by: [\w.$]+: (.+)$", log.read_text(), re.MULTILINE)
        raise SentinelError(f"The SQL client failed{f' ({reasons[-1]})' if reasons else ''}: see {log}")
    return done.stdout or ""


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
