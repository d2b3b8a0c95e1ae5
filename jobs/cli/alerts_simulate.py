"""The command that plays a timeline of alerts through a configuration, before it is in force."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jobs.dispatch.native_configuration import load
from jobs.dispatch.simulation import Simulation
from jobs.dispatch.timeline_file import load_timeline
from jobs.errors import SentinelError


def simulate(
    config: Annotated[Path, typer.Argument(help="Native configuration of dispatch, or an alertmanager.yml.")],
    timeline: Annotated[Path, typer.Argument(help="What happens when, YAML; docs/escalation.md says how to write it.")],
    why: Annotated[
        bool, typer.Option("--why", help="Print the decisions as well, those to tell nobody included.")
    ] = False,
) -> None:
    """Play a made-up timeline of alerts and print who would be told what, when and why; nothing is sent."""
    settings = load(config).settings
    wanted = load_timeline(timeline)
    try:
        lines = Simulation(settings, wanted).run()
    except ValueError as error:
        raise SentinelError(f"{timeline} cannot be played: {error}.") from None
    console = Console()
    for line in lines:
        if line.told or why:
            console.print(line.text, highlight=False, soft_wrap=True, markup=False)
    told = [line.text for line in lines if line.told]
    if wanted.expect is not None and list(wanted.expect) != told:
        differing = next(
            (number for number, pair in enumerate(zip(wanted.expect, told, strict=False)) if pair[0] != pair[1]),
            min(len(wanted.expect), len(told)),
        )
        expected = wanted.expect[differing] if differing < len(wanted.expect) else "nothing more"
        found = told[differing] if differing < len(told) else "nothing more"
        raise SentinelError(f"{timeline}: line {differing + 1} was expected to be `{expected}`, and is `{found}`.")
