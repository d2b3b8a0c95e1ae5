"""Forwarder: empties the buffer of a sidecar into a gateway, by NDJSON, again and again until the gateway has it."""

import http.client
import logging
import random
import ssl
import zlib
from pathlib import Path
from threading import Event, Thread
from typing import Final
from urllib.parse import urlsplit

import msgspec

from jobs.errors import SentinelError
from jobs.ingestion.buffer import Buffer, Waiting
from jobs.ingestion.settings import ForwardSettings

_TAKE_S: Final = 0.2
_LINGER_S: Final = 0.05
_TIMEOUT_S: Final = 20.0
_FIRST_BACKOFF_S: Final = 0.2
_LAST_BACKOFF_S: Final = 30.0
_COMPRESSED_FROM: Final = 4_096
_LEVEL: Final = 1
"""The fastest: telemetry shrinks to an eighth with it, and the sidecar has little of a core."""
_RETRYABLE: Final = frozenset({401, 403, 408, 429, 500, 502, 503, 504})
"""Credentials can be put right while events wait; they are not the events' fault."""
_PATH: Final = "/v1/events"
_log: Final = logging.getLogger(__name__)


class Forwarder:
    """Sends what the buffer hands out, batch by batch, in order."""

    def __init__(self, buffer: Buffer, settings: ForwardSettings, folder: Path) -> None:
        self._buffer = buffer
        self._url = urlsplit(settings.url)
        if self._url.scheme not in {"http", "https"} or not self._url.hostname:
            raise SentinelError(f"forward.url: {settings.url!r} is no address; write http://host:4318.")
        self._context = _context(settings, folder) if self._url.scheme == "https" else None
        self._headers = {"content-type": "application/x-ndjson", "prefer": "handling=lenient"}
        if settings.api_key_file is not None:
            path = folder / settings.api_key_file
            try:
                self._headers["authorization"] = f"Bearer {path.read_text().strip()}"
            except OSError as error:
                raise SentinelError(f"forward.api_key_file: cannot read {path}: {error.strerror}.") from None
        self._http: http.client.HTTPConnection | None = None
        self._stopping = Event()
        self._draining = Event()
        self._empty = Event()
        self._thread = Thread(target=self._send_all, name="forwarder", daemon=True)
        self.last_error = ""
        """What the gateway, or the way to it, last complained of; empty once events arrive again."""

    def start(self) -> None:
        """Begin to forward. The gateway need not be there."""
        self._thread.start()

    def stop(self, deadline_s: float) -> int:
        """Forward what the buffer holds, for so long at most; return how many events are left in it."""
        self._draining.set()
        # A gateway that is away is not waited for: the events are kept.
        if self._buffer.buffered and not self.last_error:
            self._empty.wait(deadline_s)
        self._stopping.set()
        self._thread.join()
        self._buffer.give_back()
        return self._buffer.buffered

    def _send_all(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            events = self._buffer.take(_TAKE_S)
            if not events:
                if self._draining.is_set():
                    self._empty.set()
                continue
            problem = self._problem_with(events)
            if problem is None:
                failures = 0
                self.last_error = ""
                # Larger batches are cheaper, and nobody waits for this one.
                self._draining.wait(_LINGER_S)
                continue
            if not self.last_error:
                _log.warning("the gateway %s does not take events: %s", self._url.netloc, problem)
            self.last_error = problem
            self._buffer.give_back()
            longest = min(_LAST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** min(failures, 10))
            # Whoever stops need not wait for a gateway that is away.
            self._empty.set()
            # Full jitter, so that many sidecars do not come back together.
            self._stopping.wait(random.uniform(0, longest))
            failures += 1
        self._close()

    def _problem_with(self, events: list[Waiting]) -> str | None:
        """Send a batch; None when it is settled, else why it has to be sent again."""
        body = b"\n".join(waiting.value for waiting in events)
        headers = self._headers
        if len(body) >= _COMPRESSED_FROM:
            body = zlib.compress(body, _LEVEL, wbits=31)
            headers = headers | {"content-encoding": "gzip"}
        try:
            connection = self._http = self._http or self._opened()
            connection.request("POST", self._url.path.rstrip("/") + _PATH, body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            self._close()
            return str(problem) or type(problem).__name__
        if answer.will_close:
            self._close()
        if answer.status in _RETRYABLE:
            return f"HTTP {answer.status}"
        self._settle(events, answer.status, said)
        return None

    def _settle(self, events: list[Waiting], status: int, said: bytes) -> None:
        """Note what became of the events of a batch that the gateway has answered for good."""
        refused: set[int] = set()
        if status >= 300:  # noqa: PLR2004
            refused = set(range(len(events)))
        elif status == 207:  # noqa: PLR2004
            document = msgspec.json.decode(said)
            refused = {each["index"] for each in document.get("rejected", ())}
        if refused:
            _log.error("the gateway refused %d of %d events: HTTP %d %s", len(refused), len(events), status, said[:500])
        self._buffer.delivered([waiting for index, waiting in enumerate(events) if index not in refused])
        self._buffer.refused([waiting for index, waiting in enumerate(events) if index in refused])

    def _opened(self) -> http.client.HTTPConnection:
        host, port = str(self._url.hostname), self._url.port
        if self._context is None:
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=self._context)

    def _close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


def _context(settings: ForwardSettings, folder: Path) -> ssl.SSLContext:
    authority = None if settings.ca is None else folder / settings.ca
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise SentinelError(f"forward.ca: cannot use {authority}: {error}.") from None
