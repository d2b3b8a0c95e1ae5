"""The command that queries the topics by Flink SQL."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.stack import Home
from jobs.errors import SentinelError
from jobs.stack.sql_client import run_sql, sql_session
from jobs.stack.stack import Stack


def sql(
    home: Home,
    statements: Annotated[
        str | None, typer.Argument(help="SQL, for example 'SELECT COUNT(*) FROM anomalies'; without it, a session.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file of statements instead.", exists=True, dir_okay=False)
    ] = None,
    on_cluster: Annotated[
        bool, typer.Option("--on-cluster", help="Run on the Flink cluster, which must have a free slot.")
    ] = False,
) -> None:
    """Query telemetry, anomalies, incidents, summaries and dead letters of the local stack by Flink SQL."""
    if statements and file:
        raise SentinelError("Give statements or --file, not both.")
    stack = Stack(home)
    text = file.read_text() if file else statements
    if text is None:
        sql_session(stack.layout, stack.bootstrap_servers, on_cluster=on_cluster)
    else:
        ended = text if text.rstrip().endswith(";") else f"{text};"
        run_sql(stack.layout, stack.bootstrap_servers, ended, on_cluster=on_cluster, tell=print)
