"""The command `sentinel`."""

import importlib
import sys
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from jobs.errors import SentinelError


class CommandEntry(NamedTuple):
    """A command: its name, the function behind it as `module:function`, and its line in `sentinel --help`."""

    name: str
    target: str
    help: str


# A new command is a line here and a function with typer's annotations; its module is imported when it is called.
COMMANDS: Final = (
    CommandEntry("up", "jobs.cli.stack:up", "Start Kafka, Flink, detection, ingestion and alert dispatch here."),
    CommandEntry("down", "jobs.cli.stack:down", "Stop what `up` started; data and checkpoints stay."),
    CommandEntry("status", "jobs.cli.stack:status", "Show the stack's processes and jobs, and where their logs are."),
    CommandEntry("logs", "jobs.cli.stack:logs", "Show the end of a process's log."),
    CommandEntry("metrics", "jobs.cli.stack:metrics", "Print the detection job's own metrics."),
    CommandEntry("send", "jobs.cli.send:send", "Send telemetry by hand, one call or a file of them."),
    CommandEntry("keys", "jobs.cli.keys:keys", "Make, list and disable API keys for ingestion."),
    CommandEntry("backtest", "jobs.cli.backtest:backtest", "Run detectors and correlation over a file."),
    CommandEntry("rules", "jobs.cli.rules:rules", "Check, try, publish and remove rules."),
    CommandEntry("train", "jobs.cli.models:train", "Fit a model for a detector and put it into force."),
    CommandEntry("models", "jobs.cli.models:models", "List, try out and remove the models in force."),
    CommandEntry("plugin", "jobs.cli.plugins:plugin", "Put a detector of your own to the test."),
    CommandEntry("feedback", "jobs.cli.feedback:feedback", "Say which anomalies were true, and see what follows."),
    CommandEntry("alerts", "jobs.cli.alerts:alerts", "Check how alerts reach people, offline and while it runs."),
    CommandEntry("root-cause", "jobs.cli.root_cause:root_cause", "Rank components by how likely they are the cause."),
    CommandEntry("plot", "jobs.cli.plot:plot", "Draw series with their expected band and anomalies."),
    CommandEntry("replay", "jobs.cli.replay:replay", "Replay LLM traffic with planted faults to Kafka or a file."),
    CommandEntry("sql", "jobs.cli.sql:sql", "Query the topics by Flink SQL."),
    CommandEntry("topics", "jobs.cli.topics:topics", "Create the topics on any Kafka cluster."),
    CommandEntry("prices", "jobs.cli.prices:prices", "Show, check and update what tokens cost."),
    CommandEntry("demo", "jobs.cli.demo:demo", "Show planted faults being found, on a stack of its own."),
    CommandEntry("bench", "jobs.cli.bench:bench", "Measure throughput and latency on a stack of their own."),
    CommandEntry("schemas", "jobs.cli.schemas:schemas", "Write or check the published JSON Schema and Avro."),
)


class LazyCommands(TyperGroup):
    """A group that knows its commands by name and imports only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """Return the names in the order of the help."""
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """Return a stand-in that has the name and the help, which is all that a listing needs."""
        for entry in COMMANDS:
            if entry.name == cmd_name:
                return get_command(_single(entry, lambda: None))
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments call, imported now."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        for entry in COMMANDS:
            if entry.name == name:
                module, function = entry.target.split(":")
                target = getattr(importlib.import_module(module), function)
                command = target if isinstance(target, typer.Typer) else _single(entry, target)
                return name, get_command(command), rest
        return name, stand_in, rest


def _single(entry: CommandEntry, function: Any) -> typer.Typer:
    single = typer.Typer(add_completion=False)
    single.command(name=entry.name, help=None if function.__doc__ else entry.help)(function)
    return single


app = typer.Typer(cls=LazyCommands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _sentinel() -> None:
    """Watch large-language-model traffic and say within a second when something is wrong."""


def main() -> None:
    """Run the command line; a known failure prints its sentence and exits 1."""
    try:
        app()
    except SentinelError as error:
        print(f"sentinel: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
