"""The command that shows the whole product at work, and proves it."""

import time
from typing import Annotated

import typer

from jobs.demo.run import run_demo
from jobs.demo.scene import default_scene
from jobs.errors import SentinelError
from jobs.replay.faults import duration_ms
from jobs.score.table import report_console, score_table

INTERRUPTED = 130
_MINUTE_MS = 60_000


def demo(
    seed: Annotated[int, typer.Option(min=0, help="Another seed plants the faults on other traffic.")] = 1,
    duration: Annotated[
        str, typer.Option(help="Length in event time; the first third, detectors learn what is usual.")
    ] = "3h",
    speed_up: Annotated[float, typer.Option(min=1, help="How many times faster than the clock event time runs.")] = 120,
) -> None:
    """Replay real LLM traffic with nine planted faults through Kafka and Flink, and say which were found.

    Exits with 0 if every fault planted as critical was found, with a precision of at least 95 % and no false critical
    alarm; with 1 if not. Everything it starts is stopped and removed, also after Ctrl-C.
    """
    began_s = time.monotonic()
    try:
        length_ms = duration_ms(duration)
    except ValueError as error:
        raise SentinelError(f"--duration: {error}") from None
    console = report_console()
    # On a whole minute, so that windows cut the same traffic the same way in every run of a seed.
    start_at_ms = (int(time.time() * 1000) - length_ms) // _MINUTE_MS * _MINUTE_MS
    scene = default_scene(seed=seed, start_at_ms=start_at_ms, duration_ms=length_ms)
    try:
        result = run_demo(scene, speed_up=speed_up, console=console)
    except KeyboardInterrupt:
        console.print("Interrupted: what was started is stopped and removed.")
        raise typer.Exit(INTERRUPTED) from None
    console.print(score_table(result))
    console.print(f"{time.monotonic() - began_s:.0f} s in all.")
    raise typer.Exit(0 if result.is_passed else 1)
