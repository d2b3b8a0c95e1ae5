"""A PostgreSQL server of a test's own, in a folder of its own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from jobs.stack.ports import LOOPBACK, free_port
from jobs.stack.waiting import wait_until


class PostgresServer:
    """A running server; `address` is of its one database, with the rights of its owner."""

    def __init__(self, folder: Path, programs: Path, user: str) -> None:
        self._data = folder / "data"
        self._programs = programs
        self._user = user
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"postgresql://sentinel@{LOOPBACK}:{self._port}/postgres"
        self._run("initdb", "--pgdata", str(self._data), "--username=sentinel", "--auth=trust", "--no-sync")

    def start(self) -> None:
        """Start, and return when it answers."""
        settings = {"listen_addresses": LOOPBACK, "port": self._port, "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (self._data / "server.log").open("ab")
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *options], stdout=log, stderr=log, user=self._user or None
        )
        log.close()
        wait_until(self._answers, "PostgreSQL to answer", deadline_s=60)

    def stop(self) -> None:
        """End every session at once, as a restart would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def schema(self, name: str) -> str:
        """Return the address of a new, empty schema."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.address}?options=-csearch_path%3D{name}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.address, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([self._programs / program, *arguments], check=True, capture_output=True, user=self._user or None)


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """Run a server; skip the test where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = next((each for each in candidates if (each / "initdb").exists() and (each / "postgres").exists()), None)
    if programs is None:
        pytest.skip("PostgreSQL (initdb, postgres) is not installed")
    user = ""
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        user = "postgres"
        for each in (folder, *folder.parents):
            if each.is_relative_to("/tmp") and each != Path("/tmp"):  # noqa: S108 - pytest's folders
                each.chmod(each.stat().st_mode | 0o011)
        shutil.chown(folder, user)
    server = PostgresServer(folder, programs, user)
    server.start()
    try:
        yield server
    finally:
        server.stop()
