"""The commands that look at how alerts reach people; those of this file need nothing but a configuration."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.alerts_live import acknowledge, alert, silence, why
from jobs.cli.alerts_on_call import on_call
from jobs.cli.alerts_receiver import send_example
from jobs.cli.alerts_simulate import simulate
from jobs.dispatch.channels.template_files import template_mistakes, template_set
from jobs.dispatch.configuration import Configuration
from jobs.dispatch.native_configuration import load
from jobs.errors import SentinelError
from udfs.alerting.matcher import MatchKind
from udfs.alerting.matcher_text import classic_matcher, utf8_matchers
from udfs.alerting.mute import mute_of
from udfs.alerting.route import matching_routes
from udfs.alerting.route_text import matching_tree_text, tree_text

alerts = typer.Typer(
    no_args_is_help=True, help="Check how alerts reach people; docs/alerting-semantics.md says what is decided how."
)
routes = typer.Typer(no_args_is_help=True, help="Show the routing tree, and try it out.")
alerts.add_typer(routes, name="routes")
alerts.add_typer(silence, name="silence")
alerts.add_typer(alert, name="alert")
alerts.command("why")(why)
alerts.command("acknowledge")(acknowledge)
alerts.command("simulate")(simulate)
alerts.command("on-call")(on_call)
alerts.command("test-receiver")(send_example)

ConfigFile = Annotated[Path, typer.Option("--config.file", "--config", help="A file as alertmanager.yml.")]


@alerts.command("check-config")
def check_config(files: Annotated[list[Path], typer.Argument(help="Files as alertmanager.yml.")]) -> None:
    """Say whether configurations are right, and else what is wrong, in which line and why."""
    wrong = 0
    for file in files:
        try:
            configuration = _checked(file)
        except SentinelError as error:
            print(f"Checking '{file}'  FAILED: {error}")
            wrong += 1
        else:
            print(f"Checking '{file}'  SUCCESS\n{_contents(configuration)}")
    if wrong:
        raise SentinelError(f"{wrong} of {len(files)} configurations cannot be used.")


def _checked(file: Path) -> Configuration:
    configuration = load(file)
    mistakes = template_mistakes(configuration, template_set(configuration))
    if mistakes:
        raise SentinelError(f"{'; '.join(mistakes)}.")
    return configuration


@routes.command("show")
def show(config: ConfigFile) -> None:
    """Print the routing tree with the receiver of every node."""
    print(f"Routing tree:\n{tree_text(load(config).settings.route)}\n")


@routes.command("test")
def try_out(
    config: ConfigFile,
    labels: Annotated[list[str] | None, typer.Argument(help="Labels of an alert, as alertname=slow.")] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Print the nodes that the alert passes through.")] = False,
    verify: Annotated[
        str | None, typer.Option("--verify.receivers", help="Receivers that are expected, in order, by commas.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Say what time intervals do at this time, RFC 3339.")] = None,
) -> None:
    """Print the receivers that an alert with these labels reaches; exits 1 if others were expected."""
    settings = load(config).settings
    label_set = dict(_label(each) for each in labels or ())
    if tree:
        print(f"Matching routes:\n{matching_tree_text(settings.route, label_set)}\n\n")
    found = matching_routes(settings.route, label_set)
    receivers = ",".join(route.receiver for route in found)
    print(receivers)
    if at is not None:
        at_ms = _instant_ms(at)
        for route in found:
            mute = mute_of(route, settings.intervals, at_ms)
            state = "speaks" if mute is None else f"is mute: {mute.reason.replace('_', ' ')} ({mute.intervals})"
            print(f"{route.receiver} by {route.key} {state}")
    if verify is not None and verify != receivers:
        print("WARNING: Expected receivers did not match resolved receivers.")
        sys.exit(1)


def _contents(configuration: Configuration) -> str:
    lines = [
        "Found:",
        " - global config",
        " - route",
        f" - {len(configuration.settings.inhibit_rules)} inhibit rules",
        f" - {len(configuration.receivers)} receivers",
        f" - {len(configuration.templates)} templates",
        *(f" - warning: {warning}" for warning in configuration.warnings),
    ]
    return "\n".join(lines) + "\n"


def _label(text: str) -> tuple[str, str]:
    try:
        matcher = classic_matcher(text)
    except ValueError as error:
        try:
            (matcher,) = utf8_matchers(text)
        except ValueError:
            raise SentinelError(f"{text} is no label: {error}; write it as name=value.") from None
    if matcher.kind is not MatchKind.EQUAL:
        raise SentinelError(f"{text} is no label; write it as name=value.")
    return matcher.name, matcher.value


def _instant_ms(text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise SentinelError(f"--at: {text} is no time; write it as 2026-11-26T09:30:00Z.") from None
    if instant.tzinfo is None:
        raise SentinelError(f"--at: {text} has no time zone; write it as 2026-11-26T09:30:00Z or with +01:00.")
    return int(instant.timestamp() * 1_000)
