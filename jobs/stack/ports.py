"""Ports on the loopback interface."""

import random
import socket
from typing import Final

import httpx
import psutil

from jobs.errors import SentinelError

LOOPBACK: Final = "127.0.0.1"
# Below the range from which the kernel lends ports to outgoing connections, so that a port found free stays free
# until the process that it is meant for has started.
_FIRST: Final = 20_000
_LAST: Final = 31_999
_ATTEMPTS: Final = 200
# Not the module's generator: tests seed it alike in every process, and each would try the same ports.
_RANDOM: Final = random.SystemRandom()


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As the JVM does: connections of the previous server that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Return whether something accepts connections on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False


def is_ready(port: int, path: str) -> bool:
    """Return whether a service says at this path that it can do its work; one that listens may be about to give up."""
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}{path}", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def free_port(preferred: int | None = None, taken: frozenset[int] = frozenset()) -> int:
    """Return the preferred port if it is free and not in `taken`, else any other one that is.

    Without a preference, programs that look at the same time are unlikely to find the same one.
    """
    if preferred is not None and preferred not in taken and is_free(preferred):
        return preferred
    for _ in range(_ATTEMPTS):
        port = _RANDOM.randint(_FIRST, _LAST)
        if port not in taken and is_free(port):
            return port
    raise SentinelError(f"No free port found between {_FIRST} and {_LAST}.")


def demanded_port(port: int, purpose: str) -> int:
    """Return a port that a person asked for, or raise and say who has it."""
    if is_free(port):
        return port
    raise SentinelError(f"Port {port} for {purpose} is taken{_holder(port)}; choose another one or leave it out.")


def _holder(port: int) -> str:
    """Say which process listens on a port, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return ""
