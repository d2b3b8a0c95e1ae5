"""A receiver of webhooks on loopback that remembers what it was told, and can be made to refuse or to be silent."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Told(NamedTuple):
    """One request."""

    at: float
    """Seconds since the epoch at the first byte."""
    id: str
    """The header `webhook-id`."""
    body: dict[str, Any]

    @property
    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self.body["alerts"] if alert["status"] == "firing"}

    @property
    def resolved(self) -> set[str]:
        """The names of the alerts that have ended."""
        return {alert["labels"]["alertname"] for alert in self.body["alerts"] if alert["status"] == "resolved"}


class Receiver:
    """What was told, in order; `status` is the answer to the next requests."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.status = 200
        self.refused = 0
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                at = time.time()
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.take(Told(at, self.headers.get("webhook-id", ""), body))
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """Say nothing of clients that were killed."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def take(self, told: Told) -> None:
        """Remember a request."""
        with self._changed:
            if self.status < 300:
                self.told.append(told)
            else:
                self.refused += 1
            self._changed.notify_all()

    def wait_for(self, condition: Callable[["Receiver"], bool], what: str, *, deadline_s: float = 60) -> None:
        """Return when a condition on what was told holds."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), deadline_s):
                raise AssertionError(f"waited {deadline_s:g} s in vain for {what}; told were {self.told[-5:]}")


@contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()
