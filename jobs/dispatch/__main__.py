"""Start of dispatch: `python -m jobs.dispatch --config dispatch.yaml`."""

import argparse
import asyncio
import sys
from pathlib import Path

import uvloop

from jobs.dispatch.channels.guard import networks_of
from jobs.dispatch.logs import JsonLines, set_up
from jobs.dispatch.options import Options
from jobs.dispatch.process import DispatchProcess
from jobs.errors import SentinelError
from udfs.alerting.from_anomaly import AlertLinks
from udfs.alerting.receivers.duration import duration_of


def main(arguments: list[str]) -> None:
    """Run dispatch until a signal says stop. Raises SentinelError if it cannot begin or go on."""
    told = _parser().parse_args(arguments)
    host, port = address(told.listen, "--listen")
    set_up(JsonLines(), told.log_level)
    run(
        Options(
            configuration=told.config,
            store=told.store,
            host=host,
            port=port,
            advertised=told.advertise,
            external_url=told.external_url,
            bootstrap_servers=told.bootstrap_servers,
            silence_ms=_duration(told.silence, "--silence"),
            classic_names=not told.any_label_names,
            allowed_networks=networks(told.allow_network, "--allow-network"),
            links=AlertLinks(anomaly=told.anomaly_link, incident=told.incident_link, runbook=told.runbook_link),
        )
    )


def run(options: Options) -> None:
    """Run a process of dispatch to its end."""

    async def process() -> None:
        await DispatchProcess(options).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(process())


def address(text: str, option: str) -> tuple[str, int]:
    """Return host and port of `host:port`; an empty host is every interface."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise SentinelError(f"{option}: {text} is no address such as 127.0.0.1:9093.")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what an empty host means


def networks(texts: list[str], option: str) -> tuple[str, ...]:
    """Return networks as they are written, once it is sure that they are some."""
    try:
        networks_of(texts)
    except ValueError as error:
        raise SentinelError(f"{option}: {error}.") from None
    return tuple(texts)


def _duration(text: str, option: str) -> int:
    try:
        return duration_of(text)
    except ValueError as error:
        raise SentinelError(f"{option}: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jobs.dispatch", description="Alert dispatch of LLM-Sentinel.")
    add = parser.add_argument
    add("--config", type=Path, required=True, help="the configuration, an alertmanager.yml")
    add("--store", default="dispatch-data", help="a folder for SQLite, or postgresql://... (default: %(default)s)")
    add("--listen", default="127.0.0.1:9093", help="host:port of the interface (default: %(default)s)")
    add("--bootstrap-servers", default="", help="Kafka; without it alerts come over HTTP alone")
    add("--advertise", default="", help="host:port under which other instances reach this one")
    add("--external-url", default="", help="how people reach it, for links in messages")
    add("--silence", default="10m", help="alert when no summaries have come for that long; 0s is never")
    add("--any-label-names", action="store_true", help="accept labels of any name, as Alertmanager does since 0.27")
    add(
        "--allow-network", action="append", default=[], help="an internal network that channels may reach (10.1.0.0/16)"
    )
    add("--anomaly-link", default="", help="where people find an anomaly, {id} stands for its id")
    add("--incident-link", default="", help="where people find an incident, likewise")
    add("--runbook-link", default="", help="where people find what to do, likewise")
    add("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SentinelError as problem:
        sys.exit(f"sentinel: {problem}")
