"""Guard: connections to internal addresses are refused unless they are allowed.

The name is resolved once, every address is checked, and the connection goes to an address that was checked: a name that
resolves to something else a moment later does not help.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

Network = IPv4Network | IPv6Network
_NAT64: Final = IPv6Network("64:ff9b::/96")
_INTERNAL: Final = "the address is internal, and http_config.allowed_networks does not name its network"


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
    addresses = [str(each[4][0]).partition("%")[0] for each in found]
    good = [address for address in dict.fromkeys(addresses) if _may_be_reached(address, allowed)]
    if not good:
        raise InternalAddressError(_INTERNAL)
    return good


def _may_be_reached(text: str, allowed: Sequence[Network]) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return not is_internal(address) or any(address.version == net.version and address in net for net in allowed)


class GuardedConnector(aiohttp.TCPConnector):
    """Connections to checked addresses only: those of names are checked when resolved, all others when connected to."""

    def __init__(self, allowed: Sequence[Network], *, most: int, keep_s: float) -> None:
        """Take the networks that are allowed, the most connections, and how long an idle one is kept, in seconds."""
        super().__init__(
            resolver=_CheckedNames(allowed),
            socket_factory=lambda wanted: _checked_socket(wanted, allowed),
            use_dns_cache=False,
            limit=most,
            keepalive_timeout=keep_s,
        )


class _CheckedNames(AbstractResolver):
    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the connector wants those of any
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await checked_addresses(host, port, self._allowed)
        ]

    async def close(self) -> None:
        pass


def _checked_socket(wanted: AddrInfoType, allowed: Sequence[Network]) -> socket.socket:
    """Return a socket for an address; one that is written as a number was not asked of the resolver."""
    family, kind, protocol, _, place = wanted
    if not _may_be_reached(str(place[0]), allowed):
        raise InternalAddressError(_INTERNAL)
    return socket.socket(family, kind, protocol)
