"""The command that puts detectors of a user's own to the test."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jobs.errors import SentinelError
from jobs.plugins.check import Judged, as_plain_python, judge, microseconds

plugin = typer.Typer(
    no_args_is_help=True,
    help="Put a detector of your own to the test; docs/adding-a-detector.md says how to write one.",
)


@plugin.callback()
def _plugin() -> None:
    """Keep `check` a command of its own."""


@plugin.command()
def check(
    file: Annotated[Path, typer.Argument(help="A Python file that defines detectors.")],
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration whose detectors of this file are tried; by default examples with its defaults."
        ),
    ] = None,
    model: Annotated[
        list[Path] | None, typer.Option(help="A model for a detector that needs one; may be repeated.")
    ] = None,
    interpreted: Annotated[bool, typer.Option("--interpreted", hidden=True)] = False,
) -> None:
    """Try whether a detector keeps the laws that every detector keeps: as plain Python and compiled."""
    console = Console(highlight=False, soft_wrap=True)
    if not interpreted:
        given = [str(file), *(["--config", str(config)] if config else [])]
        for each in model or ():
            given += ["--model", str(each)]
        if complaint := as_plain_python(given):
            console.print(complaint)
            raise SentinelError(f"{file} is not fit to run")
    unsound = [judged for judged in judge(file, config, model or ()) if not _report(judged, console, quiet=interpreted)]
    if unsound and interpreted:
        raise typer.Exit(1)
    if unsound:
        raise SentinelError(f"{file} is not fit to run")


def _report(judged: Judged, console: Console, *, quiet: bool) -> bool:
    """Print what the laws say of a detector, only what is broken if `quiet`; return whether it keeps them all."""
    detector = judged.detector
    told = [verdict for verdict in judged.verdicts if verdict.problem or not quiet]
    if told:
        console.print(f"{detector.detector_id} ({type(detector).__name__} on {detector.on}):")
    for verdict in told:
        line = f"  BROKEN  {verdict.promise}: {verdict.problem}" if verdict.problem else f"  kept    {verdict.promise}"
        console.print(line, markup=False)
    if judged.is_sound and not quiet:
        console.print(
            f"  state: {8 * detector.state_width} bytes a series; cost: {microseconds(detector):.2f} us an observation"
        )
    return judged.is_sound
