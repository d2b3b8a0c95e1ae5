"""Server: the HTTP port and the Unix socket, by uvicorn."""

import asyncio
import socket
import ssl
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from jobs.errors import SentinelError
from jobs.ingestion.http.application import Application
from jobs.ingestion.settings import TlsSettings

_BACKLOG: Final = 1_024
_KEEP_ALIVE_S: Final = 75
"""Longer than exporters wait between two exports (5 s, 60 s for metrics), so that they keep their connection."""
_GRACE_S: Final = 10


class _Protocol(HttpToolsProtocol):
    """Uvicorn's protocol, which besides hands on the names in a client's certificate."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note who is at the other end, as TLS has verified it."""
        super().connection_made(transport)
        certificate: dict[str, Any] | None = transport.get_extra_info("peercert")
        if certificate:
            names = tuple(str(value) for _, value in certificate.get("subjectAltName", ()))
            self.app_state = {**self.app_state, "certificate_names": names}


class HttpServer:
    """One listening socket, answered by the application."""

    def __init__(
        self, application: Application, listening: socket.socket, *, tls: TlsSettings | None, folder: Path
    ) -> None:
        config = uvicorn.Config(
            application,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            backlog=_BACKLOG,
            proxy_headers=False,
            **_tls_options(tls, folder),
        )
        self._listening = listening
        name = listening.getsockname()
        self.port = int(name[1]) if isinstance(name, tuple) else 0
        """0 for a Unix socket."""
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listening]))
        listens = asyncio.create_task(self._server.listens.wait())
        await asyncio.wait((self._task, listens), return_when=asyncio.FIRST_COMPLETED)
        if not listens.done():
            listens.cancel()
            raise SentinelError("The HTTP server ended while it was starting: see the log.")

    async def stop(self) -> None:
        """Take no more requests, and return when those under way have been answered."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    """Uvicorn's server, which says when it listens and leaves signals to the program."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.listens.set()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave them alone: there is more to stop than this."""
        return nullcontext()


def listen_tcp(address: str) -> socket.socket:
    """Return a socket that listens on `host:port`; raises SentinelError when it cannot."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise SentinelError(f"listen.http: cannot listen on {address}: {error.strerror}.") from None
    return listening


def listen_unix(path: Path) -> socket.socket:
    """Return a Unix socket that only this user and group may use; a socket that nobody serves any more is replaced."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink()
                else:
                    raise SentinelError(f"listen.unix: another process serves {path}.")
        listening.bind(str(path))
        path.chmod(0o660)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise SentinelError(f"listen.unix: cannot listen on {path}: {error.strerror or error}.") from None
    return listening


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[host]:port`; raises SentinelError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004
        raise SentinelError(f"listen: {address!r} is no address; write host:port, for example 127.0.0.1:4318.")
    return host.strip("[]"), int(port)


def _tls_options(tls: TlsSettings | None, folder: Path) -> dict[str, Any]:
    if tls is None:
        return {}
    for name in (tls.certificate, tls.key, tls.client_ca):
        if name is not None and not (folder / name).is_file():
            raise SentinelError(f"tls: there is no file {folder / name}.")
    options: dict[str, Any] = {"ssl_certfile": folder / tls.certificate, "ssl_keyfile": folder / tls.key}
    if tls.client_ca is not None:
        options |= {"ssl_ca_certs": folder / tls.client_ca, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options
