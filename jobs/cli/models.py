"""The commands that fit, publish and remove models."""

import time
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.console import Console

from jobs.detection.settings import JobSettings, load
from jobs.errors import SentinelError
from jobs.records import read_values
from jobs.stack.layout import default_home
from jobs.stack.stack import Stack
from jobs.topics import SUMMARIES
from jobs.training import topic
from jobs.training.files import read_model, write_model
from jobs.training.fit import fit
from jobs.training.windows import join, read_files, read_records
from schemas.model import PublishedModel
from schemas.time import from_at_ms
from udfs.detector import Detector

AHEAD_MS = 5_000
"""How far ahead of its writing a model takes effect, so that every subtask has it by then."""

models = typer.Typer(
    no_args_is_help=True, help="Publish, list and remove models; docs/models.md says how they are made."
)

Servers = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka; by default the broker that `sentinel up` started.")
]
AtOnce = Annotated[bool, typer.Option("--at-once", help="Hold for everything read from now on, old events too.")]


def train(
    detector_id: Annotated[str, typer.Argument(help="The detector that the model is for.")],
    summaries: Annotated[
        list[Path] | None,
        typer.Argument(help="Summaries, JSON lines (gzip if it ends in .gz); by default all that Kafka has."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the model to this file and publish nothing.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration of the detection job; by default the default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same summaries and seed give the same model.")] = 1,
    at_once: AtOnce = False,
    bootstrap_servers: Servers = None,
) -> None:
    """Fit a model for a detector on what it saw, and put it into force in the running job or write it to a file."""
    detector = _detector(load(config) if config else JobSettings(), detector_id)
    read = (
        read_files(summaries) if summaries else read_records(read_values(_servers(bootstrap_servers), SUMMARIES.name))
    )
    windows = join(read, detector)
    model = fit(windows, detector, seed=seed, now_ms=_now_ms())
    console = Console()
    console.print(
        f"{model.model_id}: fitted on {model.training.samples} windows of {len(set(windows.entities))} entities, "
        f"{from_at_ms(model.training.from_at_ms)} to {from_at_ms(model.training.to_at_ms)}",
        highlight=False,
        soft_wrap=True,
    )
    if out:
        write_model(out, model)
    else:
        _publish(_servers(bootstrap_servers), model, at_once=at_once)


@models.command()
def publish(
    file: Annotated[Path, typer.Argument(help="A model, as `sentinel train --out` writes it.")],
    at_once: AtOnce = False,
    bootstrap_servers: Servers = None,
) -> None:
    """Put the model of a file into force in the running job, without a restart."""
    _publish(_servers(bootstrap_servers), read_model(file), at_once=at_once)


@models.command("list")
def listed(bootstrap_servers: Servers = None) -> None:
    """Print the models in force, a line each."""
    console = Console()
    for model in topic.listed(_servers(bootstrap_servers)).values():
        since = from_at_ms(model.effective_at_ms) if model.effective_at_ms else "the first event"
        console.print(
            f"{model.detector_id}  {model.version}  {model.kind}  {model.training.samples} windows  "
            f"trained {model.trained_at}  from {since} on",
            highlight=False,
            soft_wrap=True,
        )


@models.command()
def remove(
    detector_id: Annotated[str, typer.Argument(help="As `sentinel models list` prints it.")],
    bootstrap_servers: Servers = None,
) -> None:
    """Take the model of a detector out of force; the detector is silent then."""
    servers = _servers(bootstrap_servers)
    known = topic.listed(servers)
    if detector_id not in known:
        problem = f"detector {detector_id!r} has no model; there are models of: {', '.join(known) or 'none'}"
        raise SentinelError(problem)
    topic.remove(servers, detector_id)
    Console().print(f"removed: {detector_id}", highlight=False)


def _publish(servers: str, model: PublishedModel, *, at_once: bool) -> None:
    effective = replace(model, effective_at_ms=0 if at_once else _now_ms() + AHEAD_MS)
    topic.publish(servers, effective)
    Console().print(f"in force: {model.model_id}", highlight=False)


def _detector(settings: JobSettings, detector_id: str) -> Detector:
    detectors = settings.detection.detectors
    for detector in detectors:
        if detector.detector_id == detector_id:
            return detector
    with_model = ", ".join(each.detector_id for each in detectors if each.needs_model)
    problem = f"there is no detector {detector_id!r}; those that take a model are: {with_model or 'none'}"
    raise SentinelError(problem)


def _servers(given: str | None) -> str:
    return given or Stack(default_home()).bootstrap_servers


def _now_ms() -> int:
    return int(time.time() * 1000)
