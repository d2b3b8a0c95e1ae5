"""The commands about the local stack."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from jobs.errors import SentinelError
from jobs.stack.layout import default_home
from jobs.stack.log_lines import readable
from jobs.stack.metrics import read_metrics
from jobs.stack.ports import LOOPBACK
from jobs.stack.services import DISPATCH, DISPATCH_CONFIG, INGESTION
from jobs.stack.stack import Stack

Home = Annotated[
    Path,
    typer.Option(
        envvar="SENTINEL_HOME", help="The folder of the stack's data, logs and state.", default_factory=default_home
    ),
]


def up(
    home: Home,
    taskmanagers: Annotated[int, typer.Option(min=1, max=32, help="How many TaskManagers, of one slot each.")] = 2,
    job: Annotated[bool, typer.Option("--job/--no-job", help="Start the detection job and its services too.")] = True,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Let the detection job go on from its newest checkpoint.")
    ] = True,
    kafka_port: Annotated[int | None, typer.Option(help="Kafka's port; by default 9092 or a free one.")] = None,
    rest_port: Annotated[int | None, typer.Option(help="Flink's web port; by default 8081 or a free one.")] = None,
    dispatch_config: Annotated[
        Path, typer.Option(help="An alertmanager.yml for alert dispatch.", exists=True, dir_okay=False)
    ] = DISPATCH_CONFIG,
) -> None:
    """Start Kafka, Flink, detection, ingestion and alert dispatch on this machine; what runs is left alone."""
    began = time.monotonic()
    stack = Stack(home)
    stack.up(
        taskmanagers=taskmanagers,
        job=job,
        resume=resume,
        kafka_port=kafka_port,
        rest_port=rest_port,
        dispatch_config=dispatch_config,
    )
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"Up after {time.monotonic() - began:.1f} s.")
    console.print(f"Kafka  {stack.bootstrap_servers}")
    console.print(f"Flink  {stack.rest_url}")
    if job:
        console.print(_ways_in(stack))
        console.print(f"Alerts http://{LOOPBACK}:{stack.ports.dispatch} (amtool --alertmanager.url=...)")
    console.print(f"Logs   {stack.layout.logs}")


def down(
    home: Home,
    delete: Annotated[bool, typer.Option("--delete", help="Remove data, checkpoints and logs as well.")] = False,
) -> None:
    """Stop what `up` started; data and checkpoints stay for the next `up` unless --delete is given."""
    stack = Stack(home)
    if delete:
        stack.delete()
    else:
        stack.down()


def status(home: Home) -> None:
    """Show the stack's processes and jobs; exit 1 when one that was started does not run."""
    stack = Stack(home)
    processes = stack.status()
    console = Console(highlight=False)
    if not processes:
        raise SentinelError(f"Nothing is running in {home}: run `sentinel up`.")
    table = Table(box=None, pad_edge=False)
    for heading in ("process", "pid", "state", "log"):
        table.add_column(heading, overflow="fold")
    for each in processes:
        table.add_row(each.name, str(each.pid), "running" if each.alive else "[red]dead[/red]", str(each.log))
    console.print(table)
    console.print(f"\nKafka  {stack.bootstrap_servers}\nFlink  {stack.rest_url}")
    if any(each.name == INGESTION.name and each.alive for each in processes):
        console.print(_ways_in(stack))
    if any(each.name == DISPATCH.name and each.alive for each in processes):
        console.print(f"Alerts http://{LOOPBACK}:{stack.ports.dispatch}")
    dead = [each for each in processes if not each.alive]
    if any(each.name == "jobmanager" and each.alive for each in processes):
        for job in stack.jobs():
            console.print(f"Job    {job['name']}  {job['state']}  {job['jid']}")
    if dead:
        names = ", ".join(f"{each.name} (log: {each.log})" for each in dead)
        raise SentinelError(f"Not running though started: {names}. `sentinel up` starts it again.")


def _ways_in(stack: Stack) -> str:
    ports = stack.ports
    return f"OTLP   http://{LOOPBACK}:{ports.ingestion_http}, gRPC {LOOPBACK}:{ports.ingestion_grpc}"


def logs(
    home: Home,
    process: Annotated[str | None, typer.Argument(help="Whose log; without it the logs are listed.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines.")] = 50,
    json: Annotated[
        bool, typer.Option("--json", help="Print the lines as they are, which is JSON for Flink's.")
    ] = False,
) -> None:
    """Show the end of a process's log, or list the logs."""
    folder = Stack(home).layout.logs
    present = sorted(folder.glob("*.log"))
    if process is None:
        for log in present:
            print(log)
        return
    wanted = folder / f"{process}.log"
    if wanted not in present:
        names = ", ".join(log.stem for log in present) or "none"
        raise SentinelError(f"There is no log of {process} in {folder}; there are: {names}.")
    last = wanted.read_text(errors="replace").splitlines()[-lines:]
    print("\n".join(last if json else map(readable, last)))


def metrics(home: Home) -> None:
    """Print the job's own metrics in Prometheus' text format."""
    found = sorted(str(each) for each in read_metrics(Stack(home).flink))
    if not found:
        raise SentinelError("The detection job does not run, or has counted nothing yet: see `sentinel status`.")
    print("\n".join(found))
