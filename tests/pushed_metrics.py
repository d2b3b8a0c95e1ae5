"""A Prometheus push gateway that listens on the loopback interface: what Flink's own reporter would put on its page."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jobs.stack.waiting import wait_until

SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Series = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels."""


class PushedMetrics:
    """The newest page of every process that pushes."""

    def __init__(self) -> None:
        """Begin with no pages."""
        self.url = ""
        self._pages: dict[str, str] = {}
        self._pushes: Counter[str] = Counter()

    def take(self, path: str, page: str) -> None:
        """Keep a page."""
        self._pages[path] = page
        self._pushes[path] += 1

    def wait_for_whole_pages(self) -> None:
        """Return when every process has pushed a page that it began to write after this was called.

        Numbers go on changing while a page is written, so that one that has some of them need not have all.
        """
        before = dict(self._pushes)
        wait_until(lambda: all(self._pushes[path] > before[path] + 1 for path in before), "two pushes", deadline_s=30)

    def settings(self) -> dict[str, str]:
        """Return the settings of a Flink that pushes here twice a second."""
        return {
            "metrics.reporter.gateway.factory.class": (
                "org.apache.flink.metrics.prometheus.PrometheusPushGatewayReporterFactory"
            ),
            "metrics.reporter.gateway.hostUrl": self.url,
            "metrics.reporter.gateway.jobName": "sentinel",
            "metrics.reporter.gateway.interval": "500 ms",
            "metrics.reporter.gateway.filterLabelValueCharacters": "false",
        }

    def samples(self, part: str) -> dict[Series, float]:
        """Return what is on the pages of series whose names contain a part, without the labels of place."""
        found = {}
        for page in list(self._pages.values()):
            for name, labels, value in SAMPLE.findall(page):
                if part in name:
                    found[name, frozenset(LABEL.findall(labels))] = float(value)
        return found

    def total(self, name: str, **labels: str) -> float:
        """Return the sum over series whose name ends so, and that have these labels."""
        wanted = set(labels.items())
        return sum(value for (full, has), value in self.samples(name).items() if full.endswith(name) and wanted <= has)


@contextmanager
def push_gateway() -> Iterator[PushedMetrics]:
    """Serve a gateway as long as the context lasts."""
    pushed = PushedMetrics()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else b""
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b"".join(self._chunks())
            pushed.take(self.path, body.decode())
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        do_POST = do_DELETE = do_PUT  # noqa: N815 - the server's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pushed.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield pushed
        finally:
            server.shutdown()
            thread.join()
