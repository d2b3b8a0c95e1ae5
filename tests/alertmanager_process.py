"""The real Alertmanager, given a scenario in real time, and a collector of what its webhooks get."""

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

import httpx
import msgspec
import yaml

from tests.alert_scenarios import Scenario, Told, ToldAlert
from udfs.alerting.matcher_text import matchers_of

PROGRAM = shutil.which("prometheus-alertmanager")
STANDSTILL_S = 0.3
"""A machine that stands still for longer than this has disturbed the timeline."""


class Disturbed(Exception):  # noqa: N818 - not a failure of anything
    """The machine stood still: what was measured says nothing."""


def tell_for_real(scenario: Scenario) -> dict[str, list[Told]]:
    """Return what Alertmanager tells the webhooks of a scenario; raises Disturbed."""
    with tempfile.TemporaryDirectory() as folder, _collector() as (address, arrived):
        file = Path(folder) / "alertmanager.yml"
        sections = scenario.configuration
        file.write_text(scenario.settings_text(sections, address))
        with _alertmanager(file) as api, _watch() as standstill:
            begin = time.time()
            told_silences: dict[str, str] = {}
            for happening in scenario.timeline:
                time.sleep(max(0.0, begin + happening.at - time.time()))
                if happening.push:
                    body = [
                        {
                            "labels": each.labels,
                            "annotations": each.annotations,
                            "startsAt": _instant(begin + (happening.at if each.starts is None else each.starts)),
                        }
                        | ({} if each.ends is None else {"endsAt": _instant(begin + each.ends)})
                        for each in happening.push
                    ]
                    api.post("/api/v2/alerts", json=body).raise_for_status()
                if happening.silence is not None:
                    put = _silence_body(scenario, happening.silence, begin, told_silences)
                    answer = api.post("/api/v2/silences", json=put).raise_for_status()
                    told_silences[happening.silence.name] = answer.json()["silenceID"]
                if happening.expire is not None:
                    api.delete(f"/api/v2/silence/{told_silences[happening.expire]}").raise_for_status()
                if happening.reload is not None:
                    sections = sections | happening.reload
                    file.write_text(scenario.settings_text(sections, address))
                    api.post("/-/reload").raise_for_status()
            time.sleep(max(0.0, begin + scenario.until - time.time()))
            if standstill():
                raise Disturbed
    return _told(scenario, arrived, begin)


def _silence_body(scenario: Scenario, put: Any, begin: float, known: dict[str, str]) -> dict[str, Any]:
    matchers = [
        {"name": each.name, "value": each.value, "isRegex": "~" in each.kind, "isEqual": not each.kind.startswith("!")}
        for each in matchers_of(put.matchers)
    ]
    span = {"startsAt": _instant(begin + put.starts), "endsAt": _instant(begin + put.ends)}
    body = {"matchers": matchers, "createdBy": "test", "comment": scenario.about, **span}
    return body | ({"id": known[put.name]} if put.name in known else {})


def _told(scenario: Scenario, arrived: list[tuple[float, str, Any]], begin: float) -> dict[str, list[Told]]:
    told: dict[str, list[Told]] = {
        f"{name}/{position}": [] for name, webhooks in scenario.receivers.items() for position in range(len(webhooks))
    }
    for at, place, body in arrived:
        alerts = tuple(
            ToldAlert(
                labels=each["labels"],
                annotations=each["annotations"],
                starts=_second(each["startsAt"], begin),
                ends=_second(each["endsAt"], begin) if each["status"] == "resolved" else None,
            )
            for each in body["alerts"]
        )
        told[place].append(Told(at=round(at - begin, 3), group=body["groupKey"], alerts=alerts))
    return told


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _second(text: str, begin: float) -> float:
    return round(datetime.fromisoformat(text).timestamp() - begin, 3)


@contextmanager
def _alertmanager(file: Path) -> Iterator[httpx.Client]:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    assert PROGRAM is not None
    flags = [f"--config.file={file}", f"--storage.path={file.parent}/data", f"--web.listen-address={address}"]
    process = subprocess.Popen(
        [PROGRAM, *flags, "--cluster.listen-address=", "--log.level=error"], stdout=subprocess.DEVNULL, stderr=None
    )
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=10, trust_env=False) as api:
            for _ in range(600):
                with suppress(httpx.TransportError):
                    if api.get("/-/ready").is_success:
                        break
                time.sleep(0.05)
            yield api
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _collector() -> Iterator[tuple[str, list[tuple[float, str, Any]]]]:
    arrived: list[tuple[float, str, Any]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at = time.time()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            arrived.append((at, self.path.removeprefix("/"), msgspec.json.decode(body)))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", arrived
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _watch() -> Iterator[Any]:
    over = threading.Event()
    longest = 0.0

    def watch() -> None:
        nonlocal longest
        last = time.monotonic()
        while not over.wait(0.02):
            now = time.monotonic()
            longest = max(longest, now - last)
            last = now

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: longest > STANDSTILL_S
    finally:
        over.set()
        thread.join()


def shown(told: dict[str, list[Told]]) -> str:
    """Return what was told as a person reads it."""
    return yaml.safe_dump(msgspec.to_builtins(told), default_flow_style=None, width=150)
