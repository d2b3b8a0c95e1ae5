"""The commands that check, try and publish rules."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from jobs.backtest import telemetry
from jobs.backtest.control import in_force
from jobs.detection.settings import JobSettings, load
from jobs.rules import topic
from jobs.rules.files import read_rules
from jobs.stack.layout import default_home
from jobs.stack.stack import Stack
from schemas.anomaly import DetectorType

AHEAD_MS = 2_000
"""How far ahead of its writing a rule takes effect, so that every subtask has heard of it by then."""

rules = typer.Typer(
    no_args_is_help=True, help="Check, try, publish and remove rules; docs/rules.md says how to write one."
)

RuleFile = Annotated[Path, typer.Argument(help="Rules, YAML or JSON: one, or a list.")]
Servers = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka; by default the broker that `sentinel up` started.")
]


@rules.command()
def check(file: RuleFile) -> None:
    """Say whether a file of rules is right, and else which rule is wrong and why."""
    read = read_rules(file)
    Console().print(f"{len(read)} rules are right: {', '.join(rule.rule_id for rule in read)}", highlight=False)


@rules.command("test")
def try_out(
    file: RuleFile,
    source: Annotated[Path, typer.Argument(help="Telemetry events, JSON lines; gzip if it ends in .gz.")],
    config: Annotated[Path | None, typer.Option(help="Configuration of the detection job.")] = None,
) -> None:
    """Run rules over a file of telemetry and print what they find."""
    read = read_rules(file)
    settings = load(config) if config else JobSettings()
    records, telemetry_format = telemetry.read_records(source)
    alone = msgspec.structs.replace(
        settings.detection, detectors=(), summaries="none", telemetry_format=telemetry_format
    )
    found = telemetry.backtest(records, alone, in_force(read)).anomalies
    console = Console()
    for each in found:
        if each.detector_type is DetectorType.RULE:
            console.print(f"{each.timestamp}  {each.severity.value:8}  {each.title}", highlight=False, soft_wrap=True)
    console.print(f"{len(read)} rules, {len(found)} anomalies", highlight=False)


@rules.command()
def apply(
    file: RuleFile,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Hold for everything read from now on, old events too.")
    ] = False,
    bootstrap_servers: Servers = None,
) -> None:
    """Put the rules of a file into force in the running job, without a restart."""
    now_ms = int(time.time() * 1000)
    read = tuple(
        rule if rule.effective_at_ms or at_once else msgspec.structs.replace(rule, effective_at_ms=now_ms + AHEAD_MS)
        for rule in read_rules(file)
    )
    topic.publish(_servers(bootstrap_servers), read)
    Console().print(f"in force: {', '.join(rule.rule_id for rule in read)}", highlight=False)


@rules.command("list")
def listed(bootstrap_servers: Servers = None) -> None:
    """Print the rules in force, one JSON object a line."""
    for text in topic.listed(_servers(bootstrap_servers)).values():
        print(text)


@rules.command()
def remove(
    rule_id: Annotated[str, typer.Argument(help="As `sentinel rules list` prints it.")],
    bootstrap_servers: Servers = None,
) -> None:
    """Take a rule out of force."""
    topic.remove(_servers(bootstrap_servers), rule_id)
    Console().print(f"removed: {rule_id}", highlight=False)


def _servers(given: str | None) -> str:
    return given or Stack(default_home()).bootstrap_servers
