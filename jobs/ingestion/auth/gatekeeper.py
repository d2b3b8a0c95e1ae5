"""Gatekeeper: from the credentials of a request to its caller, by whatever kinds of credential are configured."""

import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from jobs.errors import SentinelError
from jobs.ingestion.auth.api_keys import PREFIX, KeyRing, read_keys
from jobs.ingestion.auth.caller import Caller, Credentials, ForbiddenError, UnauthenticatedError
from jobs.ingestion.auth.token_settings import TokenSettings
from schemas.telemetry import Identifier

OPEN_CALLER = Caller(tenant="default", how="open", name="anyone")


class AuthSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which credentials are accepted. With none of them ingestion is open, and then listens on loopback only."""

    keys: str | None = None
    """A YAML file of API keys, as `sentinel keys` writes it; it is read again when it changes."""
    jwt: TokenSettings | None = None
    certificates: dict[str, Identifier] = {}
    """Tenants by subject alternative name of client certificates; needs `tls.client_ca`."""

    @property
    def is_open(self) -> bool:
        """Whether everyone who reaches the ports may send, as the tenant `default`."""
        return self.keys is None and self.jwt is None and not self.certificates


class _Tokens(Protocol):
    def caller(self, token: str) -> Caller: ...

    def needs_keys(self, token: str) -> bool: ...


class Gatekeeper:
    """Decides who calls; `reload` reads the files again."""

    def __init__(self, settings: AuthSettings, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._ring: KeyRing | None = None
        self._tokens: _Tokens | None = None
        self.reload()

    def reload(self) -> None:
        """Read keys again; raises SentinelError, with the previous ones still in force."""
        settings = self._settings
        ring = _read_ring(self._folder / settings.keys) if settings.keys is not None else None
        tokens: _Tokens | None = None
        if settings.jwt is not None:
            # A third of this process's memory, for those alone who use it.
            from jobs.ingestion.auth.tokens import TokenChecker  # noqa: PLC0415

            tokens = TokenChecker(settings.jwt, self._folder, self._clock)
        self._ring, self._tokens = ring, tokens

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are worth a look for changes."""
        jwks = self._settings.jwt.jwks if self._settings.jwt else None
        names = (self._settings.keys, jwks if jwks and "://" not in jwks else None)
        return tuple(self._folder / name for name in names if name is not None)

    def takes_time(self, credentials: Credentials) -> bool:
        """Return whether `caller` may have to wait for a key server: then it belongs into a thread."""
        token = _bearer(credentials)
        is_token = token is not None and not token.startswith(PREFIX)
        return self._tokens is not None and is_token and self._tokens.needs_keys(token or "")

    def caller(self, credentials: Credentials) -> Caller:
        """Return who calls. Raises UnauthenticatedError or ForbiddenError."""
        if self._settings.is_open:
            return OPEN_CALLER
        secret = credentials.api_key or _bearer(credentials)
        if secret is not None:
            if self._ring is not None and (secret.startswith(PREFIX) or self._tokens is None):
                return self._ring.caller(secret, int(self._clock() * 1_000))
            if self._tokens is not None:
                return self._tokens.caller(secret)
        if self._settings.certificates and credentials.certificate_names:
            for name in credentials.certificate_names:
                tenant = self._settings.certificates.get(name)
                if tenant is not None:
                    return Caller(tenant=tenant, how="certificate", name=name)
            raise ForbiddenError("No name in the client certificate belongs to a tenant.")
        raise UnauthenticatedError(f"Send {self.wanted} with the request.")

    @property
    def wanted(self) -> str:
        """The kinds of credential that are accepted, in words."""
        kinds = (
            "an API key (`Authorization: Bearer sentinel_...`)" if self._ring else "",
            "a JSON Web Token (`Authorization: Bearer ...`)" if self._tokens else "",
            "a client certificate" if self._settings.certificates else "",
        )
        return " or ".join(kind for kind in kinds if kind)


def refuse_open_to_the_world(settings: AuthSettings, hosts: tuple[str, ...]) -> None:
    """Raise SentinelError if everyone may send and others than this machine can reach one of the hosts."""
    for host in hosts:
        if settings.is_open and not _is_loopback(host):
            raise SentinelError(
                f"listen: {host} can be reached from other machines, and `auth` accepts everyone: configure "
                "`auth.keys`, `auth.jwt` or `auth.certificates`, or listen on 127.0.0.1."
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bearer(credentials: Credentials) -> str | None:
    scheme, _, secret = (credentials.authorization or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret else None


def _read_ring(path: Path) -> KeyRing:
    try:
        return KeyRing(read_keys(path.read_bytes()))
    except OSError as error:
        raise SentinelError(f"auth.keys: cannot read {path}: {error.strerror}.") from None
    except ValueError as error:
        raise SentinelError(f"auth.keys: {path} is not valid: {' '.join(str(error).split())}.") from None
