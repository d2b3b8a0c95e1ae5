"""Guard: connections to internal addresses are refused unless they are allowed.

The name is resolved once, every address is checked, and the connection goes to an address that was checked: a name that
resolves to something else a moment later does not help.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore

Network = IPv4Network | IPv6Network
_NAT64 = IPv6Network("64:ff9b::/96")


class InternalAddressError(Exception):
    """The target is an internal address that is not allowed."""


class UnknownNameError(Exception):
    """The target's name has no address."""


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks; raises ValueError for what is none."""
    return tuple(ip_network(text) for text in texts)


def is_internal(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is not on the public internet: private, loopback, link-local, metadata, reserved.

    An IPv4 address within an IPv6 address (mapped, NAT64, 6to4, Teredo) counts as itself.
    """
    if isinstance(address, IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(IPv4Address(int(address) & 0xFFFF_FFFF))
        found = [each for each in inner if each is not None]
        if found:
            return any(map(is_internal, found))
    return not address.is_global or address.is_multicast


async def checked_addresses(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """Return the addresses of a host that may be connected to, in the resolver's order.

    Raises InternalAddressError if there are only others, UnknownNameError if there are none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise UnknownNameError("the host's name has no address") from None
    addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    good = [
        str(address)
        for address in dict.fromkeys(addresses)
        if not is_internal(address) or any(address.version == net.version and address in net for net in allowed)
    ]
    if not good:
        raise InternalAddressError(
            "the address is internal, and http_config.allowed_networks does not name its network"
        )
    return good


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, allowed: Sequence[Network], *, is_proxied: bool = False) -> None:
        """Take the networks that are allowed; where a proxy was configured, its own address needs no permission."""
        self._allowed = allowed
        self._is_proxied = is_proxied
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first checked address that answers."""
        addresses = [host] if self._is_proxied else await checked_addresses(host, port, self._allowed)
        last: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - httpcore's signature
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's signature
        socket_options: Any = None,  # noqa: ARG002 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no receiver is behind a socket of this machine."""
        raise InternalAddressError("a socket of this machine is no receiver")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)
