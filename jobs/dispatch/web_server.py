"""The HTTP server of dispatch, within its event loop."""

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from jobs.errors import SentinelError


class WebServer(uvicorn.Server):
    """Serves until it is told to stop; signals belong to the process."""

    def __init__(self, interface: Starlette, host: str, port: int) -> None:
        """Take the port at once, so that a taken one is said before anything else begins."""
        self._socket = _listening(host, port)
        super().__init__(
            uvicorn.Config(
                interface,
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_keep_alive=60,
                timeout_graceful_shutdown=5,
                server_header=False,
            )
        )

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def run_until_told(self) -> None:
        """Serve."""
        await self.serve(sockets=[self._socket])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise SentinelError(
            f"Dispatch cannot listen on {host}:{port} ({error.strerror}): stop what listens there, or choose another "
            "address by --listen."
        ) from None
