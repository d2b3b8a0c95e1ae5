"""`sentinel alerts test-receiver`: one notification to every channel of a receiver, and what came of it."""

import asyncio
import time
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console

from jobs.dispatch.channels.channels import Channels
from jobs.dispatch.channels.guard import networks_of
from jobs.dispatch.channels.template_files import template_set
from jobs.dispatch.native_configuration import load
from jobs.errors import SentinelError
from udfs.alerting.example import example_notification
from udfs.alerting.memory import Memory
from udfs.alerting.notification import Notification
from udfs.alerting.outcome import Outcome, Refused, Sent
from udfs.alerting.receivers.receiver import Receiver

_TRY_S = 30.0


def send_example(
    config: Annotated[Path, typer.Argument(help="A file as alertmanager.yml.")],
    receiver: Annotated[str, typer.Argument(help="The receiver's name.")],
    channel: Annotated[str | None, typer.Option(help="Only this channel, by kind and position: slack[0].")] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Tell that it is over as well.")] = False,
    allow_network: Annotated[
        list[str] | None, typer.Option(help="An internal network that may be reached, as 10.1.0.0/16.")
    ] = None,
) -> None:
    """Send an example through every channel of a receiver and say what came of it; exits 1 if one failed."""
    configuration = load(config)
    found = configuration.receivers.get(receiver)
    if found is None:
        raise SentinelError(
            f"{config} has no receiver {receiver}; it has {', '.join(sorted(configuration.receivers))}."
        )
    keys = [each.key for each in found.channels if channel in (None, each.key)]
    if not keys:
        has = ", ".join(each.key for each in found.channels) or "no channel at all"
        raise SentinelError(f"Receiver {receiver} has {has}.")
    try:
        allowed = networks_of(allow_network or ())
    except ValueError as error:
        raise SentinelError(f"--allow-network: {error}.") from None
    channels = Channels((found,), template_set(configuration), config.parent, allowed)
    console = Console()
    failed = 0
    for notification, outcome in asyncio.run(_tried(channels, found, keys, resolved=resolved)):
        state = "firing" if notification.firing else "resolved"
        failed += not isinstance(outcome, Sent)
        console.print(
            f"{notification.channel}  {state}: {_said(outcome)}", highlight=False, markup=False, soft_wrap=True
        )
    if failed:
        raise SentinelError(f"{failed} of {len(keys) * (1 + resolved)} messages did not arrive.")


async def _tried(
    channels: Channels, receiver: Receiver, keys: list[str], *, resolved: bool
) -> list[tuple[Notification, Outcome]]:
    now_ms = int(time.time() * 1_000)
    done: list[tuple[Notification, Outcome]] = []
    memory = Memory()
    try:
        for key in keys:
            for is_over in (False, True)[: 1 + resolved]:
                told = example_notification(receiver.name, key, now_ms, str(uuid4()), is_over=is_over)
                outcome = await channels.send(told, now_ms, _TRY_S, memory.earlier(told))
                if isinstance(outcome, Sent):
                    memory.refer(told, outcome.reference)
                done.append((told, outcome))
    finally:
        await channels.close()
    return done


def _said(outcome: Outcome) -> str:
    if isinstance(outcome, Sent):
        return f"sent ({outcome.detail})" if outcome.detail else "sent"
    word = "refused for good" if isinstance(outcome, Refused) else "failed, another try may succeed"
    return f"{word} ({outcome.reason.value}): {outcome.detail}"
