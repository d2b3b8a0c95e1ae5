"""The command that says who is on call, and when that changes."""

import time
from pathlib import Path
from typing import Annotated

import typer

from jobs.dispatch.native_configuration import load
from jobs.errors import SentinelError
from schemas.time import to_at_ms
from udfs.alerting.on_call import shifts
from udfs.alerting.wall_clock import wall_of, zone

_DAY_MS = 86_400_000


def on_call(
    config: Annotated[Path, typer.Argument(help="Native configuration of dispatch.")],
    schedule: Annotated[
        str | None, typer.Option(help="Only this schedule; a tenant's is named `tenant/schedule`.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="One layer instead of the schedule as a whole.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="From when on, RFC 3339; by default now.")] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="For how many days.")] = 14,
) -> None:
    """Print who is on call one after another, by the wall clock of each schedule."""
    known = load(config).settings.escalation.roster.schedules
    if schedule is not None and schedule not in known:
        raise SentinelError(f"{config} has no schedule {schedule}; there are {', '.join(known) or 'none at all'}.")
    try:
        from_ms = int(time.time() * 1_000) if since is None else to_at_ms(since)
    except ValueError:
        raise SentinelError(f"--from: {since} is no time; write it as 2026-11-26T09:30:00Z.") from None
    for name, each in known.items():
        if schedule not in {None, name}:
            continue
        if layer is not None and layer not in [one.name for one in each.layers]:
            raise SentinelError(
                f"schedule {name} has no layer {layer}; it has {', '.join(x.name for x in each.layers)}."
            )
        print(f"{name} ({each.timezone})")
        where = zone(each.timezone)
        for shift in shifts(each, from_ms, from_ms + days * _DAY_MS, layer):
            start, end = (
                f"{wall_of(at_ms, where):%a %Y-%m-%d %H:%M}" for at_ms in (shift.start_at_ms, shift.end_at_ms)
            )
            who = "nobody" if shift.person is None else f"{shift.person} ({shift.layer})"
            print(f"  {start} - {end}  {who}")
