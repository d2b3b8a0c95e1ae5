"""Dispatch under Alertmanager's flags, to be put in its place: `python -m jobs.dispatch.alertmanager --config.file=F`.

Flags that have no meaning here are accepted and named in the log at level debug, `--cluster.peer` in a warning.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jobs.dispatch.__main__ import address, networks, run
from jobs.dispatch.logs import JsonLines, Logfmt, set_up
from jobs.dispatch.options import Options
from jobs.errors import SentinelError
from udfs.alerting.receivers.duration import duration_of

LOG = logging.getLogger("main")
_DUTIES_OF_THE_STORE: Final = (
    "cluster.peer",
    "cluster.peer-timeout",
    "cluster.gossip-interval",
    "cluster.pushpull-interval",
    "cluster.settle-timeout",
    "cluster.reconnect-interval",
    "cluster.reconnect-timeout",
    "cluster.tcp-timeout",
    "cluster.probe-timeout",
    "cluster.probe-interval",
    "cluster.tls-config",
    "cluster.label",
    "cluster.name",
    "cluster.peer-name",
    "cluster.peers-resolve-timeout",
    "cluster.listen-address",
)
_WITHOUT_MEANING: Final = (
    "web.config.file",
    "web.get-concurrency",
    "web.timeout",
    "web.ui-path",
    "alerts.gc-interval",
    "dispatch.maintenance-interval",
    "dispatch.start-delay",
    "data.maintenance-interval",
    "silences.max-silences",
    "silences.max-silence-size-bytes",
    "auto-gomemlimit.ratio",
)
_SWITCHES: Final = (
    "cluster.allow-insecure-public-advertise-address-discovery",
    "web.systemd-socket",
    "auto-gomaxprocs",
)


def main(arguments: list[str]) -> None:
    """Run dispatch as Alertmanager would have been started."""
    # argparse writes `-` in names as `_`.
    told = {name.replace("_", "-"): value for name, value in vars(_parser().parse_args(arguments)).items()}
    set_up(JsonLines() if told["log.format"] == "json" else Logfmt(), _level(told["log.level"]))
    ignored = [name for name in (*_DUTIES_OF_THE_STORE, *_WITHOUT_MEANING, *_SWITCHES) if told[name]]
    if told["cluster.peer"]:
        LOG.warning(
            "Instances share the work through the store, not by gossip: give all of them the same "
            "--storage.path=postgresql://... in place of --cluster.peer."
        )
    if ignored:
        LOG.debug("flags without meaning here: %s", ", ".join(ignored))
    host, port = address(told["web.listen-address"], "--web.listen-address")
    external_url = told["web.external-url"]
    try:
        retention_ms = duration_of(told["data.retention"])
    except ValueError as error:
        raise SentinelError(f"--data.retention: {error}") from None
    prefix = told["web.route-prefix"] or urlsplit(external_url).path
    run(
        Options(
            configuration=Path(told["config.file"]),
            store=told["storage.path"],
            host=host,
            port=port,
            advertised=told["cluster.advertise-address"],
            external_url=external_url,
            route_prefix=f"/{prefix.strip('/')}" if prefix.strip("/") else "",
            retention_ms=retention_ms,
            allowed_networks=networks(told["sentinel.allow-network"], "--sentinel.allow-network"),
            classic_names="utf8-strict-mode" not in told["enable-feature"],
        )
    )


def _level(word: str) -> str:
    return {"warn": "warning"}.get(word, word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alertmanager", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--config.file", default="alertmanager.yml", help="the configuration (default: %(default)s)")
    add("--storage.path", default="data/", help="a folder for SQLite, or postgresql://... (default: %(default)s)")
    add("--data.retention", default="120h", help="how long decisions and notifications are kept")
    add("--web.listen-address", default=":9093", help="host:port of the interface (default: %(default)s)")
    add("--web.external-url", default="", help="how people reach it, for links in messages")
    add("--web.route-prefix", default="", help="path before all others; by default that of --web.external-url")
    add("--cluster.advertise-address", default="", help="host:port under which other instances reach this one")
    add("--log.level", default="info", choices=("debug", "info", "warn", "error"))
    add("--log.format", default="logfmt", choices=("logfmt", "json"))
    add("--enable-feature", default="", help="utf8-strict-mode accepts labels of any name")
    add("--sentinel.allow-network", action="append", default=[], help="an internal network that channels may reach")
    add("--version", action="version", version="alertmanager, version 0.25.0 (LLM-Sentinel dispatch)")
    for name in (*_DUTIES_OF_THE_STORE, *_WITHOUT_MEANING):
        add(f"--{name}", default=[], action="append", help=argparse.SUPPRESS)
    for name in _SWITCHES:
        add(f"--{name}", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SentinelError as problem:
        sys.exit(f"sentinel: {problem}")
