"""The commands about alerts that ask a dispatch that runs."""

import getpass
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from jobs.dispatch.clock import wall_clock
from jobs.errors import SentinelError
from jobs.stack.layout import default_home
from jobs.stack.ports import LOOPBACK
from jobs.stack.stack import Stack
from schemas.time import from_at_ms
from udfs.alerting.matcher import MatchKind
from udfs.alerting.matcher_text import matchers_of
from udfs.alerting.receivers.duration import duration_of

_TIMEOUT_S = 30.0
_WIDTH = 2_000

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="SENTINEL_DISPATCH",
        help="Where dispatch answers; by default that of the local stack.",
    ),
]
Matchers = Annotated[
    list[str], typer.Argument(help="Matchers such as alertname=LatencyHigh or severity=~'warning|info'.")
]
Id = Annotated[str, typer.Argument(help="The alert's fingerprint, as `sentinel alerts alert query` shows it.")]

silence = typer.Typer(no_args_is_help=True, help="Keep notifications back for a while.")
alert = typer.Typer(no_args_is_help=True, help="Look at the alerts that fire.")


@silence.command("add")
def add_silence(
    matchers: Matchers,
    comment: Annotated[str, typer.Option("--comment", "-c", help="Why.")],
    duration: Annotated[str, typer.Option("--duration", "-d", help="For how long.")] = "1h",
    author: Annotated[str, typer.Option("--author", "-a", help="Who; by default the user's name.")] = "",
    url: Url = "",
) -> None:
    """Silence what matches from now on; prints the silence's id."""
    try:
        length_ms = duration_of(duration)
        found = [each for text in matchers for each in matchers_of(text)]
    except ValueError as error:
        raise SentinelError(f"{error}") from None
    client = _Client(url)
    now_ms = wall_clock()
    body = {
        "matchers": [
            {
                "name": each.name,
                "value": each.value,
                "isEqual": each.kind in {MatchKind.EQUAL, MatchKind.REGEX},
                "isRegex": each.kind in {MatchKind.REGEX, MatchKind.NOT_REGEX},
            }
            for each in found
        ],
        "startsAt": from_at_ms(now_ms),
        "endsAt": from_at_ms(now_ms + length_ms),
        "createdBy": author or getpass.getuser(),
        "comment": comment,
    }
    print(client.ask("POST", "/api/v2/silences", body=body)["silenceID"])


@silence.command("query")
def query_silences(
    matchers: Annotated[list[str] | None, typer.Argument(help="Matchers that the silences are about.")] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Show those that are over as well.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print ids alone.")] = False,
    url: Url = "",
) -> None:
    """List silences."""
    found = _Client(url).ask("GET", "/api/v2/silences", filters=matchers)
    shown = [each for each in found if expired or each["status"]["state"] != "expired"]
    if quiet:
        for each in shown:
            print(each["id"])
        return
    rows = [
        (each["id"], each["status"]["state"], _matchers_text(each), each["endsAt"], each["createdBy"], each["comment"])
        for each in shown
    ]
    _print(("id", "state", "matchers", "ends", "by", "comment"), rows)


@silence.command("expire")
def expire_silences(
    silence_ids: Annotated[list[str], typer.Argument(help="Ids of silences.")],
    url: Url = "",
) -> None:
    """End silences now."""
    client = _Client(url)
    for each in silence_ids:
        client.ask("DELETE", f"/api/v2/silence/{each}")


@alert.command("query")
def query_alerts(
    matchers: Annotated[list[str] | None, typer.Argument(help="Matchers of alerts; without any, all.")] = None,
    silenced: Annotated[bool, typer.Option("--silenced", help="Show silenced ones as well.")] = False,
    inhibited: Annotated[bool, typer.Option("--inhibited", help="Show inhibited ones as well.")] = False,
    receiver: Annotated[str, typer.Option(help="A regular expression of receivers' names.")] = "",
    url: Url = "",
) -> None:
    """List the alerts that fire."""
    parameters = {"silenced": str(silenced).lower(), "inhibited": str(inhibited).lower()}
    if receiver:
        parameters["receiver"] = receiver
    found = _Client(url).ask("GET", "/api/v2/alerts", filters=matchers, parameters=parameters)
    rows = [
        (
            each["fingerprint"],
            each["labels"].get("alertname", ""),
            each["status"]["state"],
            each["startsAt"],
            each["annotations"].get("summary", ""),
        )
        for each in found
    ]
    _print(("id", "alert", "state", "since", "summary"), rows)


def why(alert_id: Id, url: Url = "") -> None:
    """Say where an alert stands and what was decided about it, and why."""
    found = _Client(url).ask("GET", f"/api/v1/alerts/{alert_id}/why")
    by = f" by {found['by']}" if found["by"] else ""
    labels = ", ".join(f'{name}="{value}"' for name, value in found["labels"].items())
    print(f"{alert_id} {found['state']}{by}  {{{labels}}}")
    for group in found["groups"]:
        print(f"group {group['key']} to {group['receiver']}, looked at next at {group['nextAt'] or 'the next alert'}")
    rows = [
        (each["at"], each["reason"], each.get("receiver", ""), each.get("channel", ""), each.get("refers_to", ""))
        for each in found["decisions"]
    ]
    _print(("at", "decision", "receiver", "channel", "refers to"), rows)


def acknowledge(
    alert_id: Id,
    comment: Annotated[str, typer.Option("--comment", "-c", help="What is being done.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who takes it on; by default the user's name.")] = "",
    duration: Annotated[str, typer.Option("--duration", "-d", help="For how long at most, as 1h30m.")] = "",
    url: Url = "",
) -> None:
    """Take an alert, and those told of with it, on: nothing is repeated or escalated until it resolves."""
    body = {"by": by or getpass.getuser(), "comment": comment}
    if duration:
        try:
            body["endsAt"] = from_at_ms(wall_clock() + duration_of(duration))
        except ValueError as error:
            raise SentinelError(f"--duration: {error}") from None
    found = _Client(url).ask("POST", f"/api/v1/alerts/{alert_id}/acknowledge", body=body)
    print(f"{alert_id} acknowledged by {found['by']}")


class _Client:
    """Asks a dispatch; every failure is a SentinelError."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") or f"http://{LOOPBACK}:{Stack(default_home()).ports.dispatch}"

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        filters: list[str] | None = None,
        parameters: dict[str, str] | None = None,
    ) -> Any:
        """Return the JSON of an answer, None if it has none."""
        answer = self._answer(method, path, body, {"filter": filters or [], **(parameters or {})})
        if not answer.is_success:
            raise SentinelError(_reason(answer))
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, body: Any, parameters: dict[str, Any]) -> httpx.Response:
        try:
            return httpx.request(
                method, f"{self._url}{path}", json=body, params=parameters, timeout=_TIMEOUT_S, trust_env=False
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SentinelError(
                f"Dispatch does not answer at {self._url} ({type(error).__name__}): see `sentinel status`, or give its "
                "address by --url."
            ) from None


def _reason(answer: httpx.Response) -> str:
    try:
        found = answer.json()
    except ValueError:
        found = answer.text.strip()
    sentence = found.get("message", "") if isinstance(found, dict) else str(found)
    return f"Dispatch refuses: {sentence or f'HTTP {answer.status_code}'}"


def _matchers_text(shown: dict[str, Any]) -> str:
    words = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
    return " ".join(
        f'{each["name"]}{words[each["isEqual"], each["isRegex"]]}"{each["value"]}"' for each in shown["matchers"]
    )


def _print(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    # What another program reads is not cut to the width of a screen.
    width = None if sys.stdout.isatty() else _WIDTH
    Console(highlight=False, markup=False, width=width).print(table)
