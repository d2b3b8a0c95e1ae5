"""Connection: HTTP to the sidecar, by its Unix socket or on loopback."""

import http.client
import os
import socket
import tempfile
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_TIMEOUT_S: Final = 10.0


class Answer(NamedTuple):
    """Status and body."""

    status: int
    body: bytes
    retry_after_s: float


def default_address() -> str:
    """Return where the sidecar listens unless told otherwise: SENTINEL_ADDRESS, or the usual Unix socket."""
    return os.environ.get("SENTINEL_ADDRESS") or f"unix:{default_socket()}"


def default_socket() -> Path:
    """Return the usual Unix socket of this user."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(folder) / f"llm-sentinel-{os.getuid()}.sock"


class Connection:
    """One connection, kept open and opened again; not for several threads."""

    def __init__(self, address: str, api_key: str | None = None) -> None:
        """Take `unix:/path` or `http://host:port`, and a key if the other end wants one."""
        self._address = address
        self._headers = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
        self._http: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, media_type: str) -> Answer:
        """Send a body and return the answer; raises OSError or HTTPException when there is none."""
        connection = self._http = self._http or self._opened()
        try:
            connection.request("POST", path, body, self._headers | {"content-type": media_type})
            # Closed also when its body cannot be read: the socket stays open for as long as the answer does.
            with connection.getresponse() as answer:
                result = Answer(answer.status, answer.read(), _seconds(answer.getheader("retry-after")))
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if answer.will_close:
            self.close()
        return result

    def close(self) -> None:
        """Close it; a later `post` opens it again."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _opened(self) -> http.client.HTTPConnection:
        if self._address.startswith("unix:"):
            return _UnixConnection(self._address.removeprefix("unix:"))
        parts = urlsplit(self._address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT_S)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Open the socket in place of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _seconds(header: str | None) -> float:
    return float(header) if header is not None and header.isdigit() else 0.0
