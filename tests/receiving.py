"""Receivers for tests: a real HTTP server that keeps what it got and answers as it is told, and a mail server."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from udfs.alerting.alert import Alert
from udfs.alerting.notification import Notification, NotificationReason

NOW_MS = 1_764_000_000_000


class Got(NamedTuple):
    """A request as the receiver got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Answering(NamedTuple):
    """An answer to give; `waits` lets the client wait until the server closes."""

    status: int = 200
    body: bytes = b"ok"
    headers: tuple[tuple[str, str], ...] = ()
    waits: bool = False


class Receiving:
    """What a server got, and what it answers: the script in order, its last answer again and again."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.script: list[Answering] = [Answering()]
        self.url = ""
        self.closing = threading.Event()

    def next(self) -> Answering:
        """Return the answer to the next request."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def receiving(certificate: ssl.SSLContext | None = None) -> Iterator[Receiving]:
    """Run a server on a free port of the loopback interface."""
    state = Receiving()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.got.append(Got(self.command, self.path, headers, self.rfile.read(length)))
            answer = state.next()
            if answer.waits:
                state.closing.wait(30)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_PUT = do_GET = answer  # noqa: N815 - names of http.server

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Say nothing: clients that give up are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        server.socket = certificate.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    state.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def notification(receiver: str, channel: str, **changes: Any) -> Notification:
    """Return a notification about one firing alert, with changes."""
    alert = Alert(
        labels={"alertname": "HighLatency", "severity": "critical", "team": "ops"},
        annotations={"summary": "p95 is 4,500 ms", "description": "Slow <since> now & then"},
        starts_at_ms=NOW_MS - 60_000,
        updated_at_ms=NOW_MS,
        generator_url="http://prometheus.example.org/graph",
    )
    values: dict[str, Any] = {
        "notification_id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        "receiver": receiver,
        "channel": channel,
        "group_key": '{}:{alertname="HighLatency"}',
        "group_labels": {"alertname": "HighLatency"},
        "common_labels": alert.labels,
        "common_annotations": alert.annotations,
        "alerts": (alert,),
        "resolved": (False,),
        "reason": NotificationReason.FIRST_NOTIFICATION,
        "created_at_ms": NOW_MS,
        "external_url": "https://alerts.example.org",
    }
    return Notification(**(values | changes))
