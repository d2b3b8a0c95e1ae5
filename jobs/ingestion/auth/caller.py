"""The caller of a request, and the refusals that a credential can meet with."""

from typing import Literal

from msgspec import Struct


class Caller(Struct, frozen=True, kw_only=True):
    """Who sends, as far as a credential proves it."""

    tenant: str
    """Whose telemetry it is, whatever the telemetry says of that."""
    how: Literal["open", "key", "token", "certificate", "topic"]
    name: str
    """For logs: the id of a key, the subject of a token, the name in a certificate; never a secret."""


class Credentials(Struct, frozen=True, kw_only=True):
    """What a request brought along to say who it is from."""

    authorization: str | None = None
    """The header or metadata `authorization`."""
    api_key: str | None = None
    """The header or metadata `x-api-key`."""
    certificate_names: tuple[str, ...] = ()
    """Subject alternative names of the client certificate that TLS has verified."""


class UnauthenticatedError(Exception):
    """No credential, or one that proves nothing. The message is for the caller and holds no part of the credential."""


class ForbiddenError(Exception):
    """A credential that is genuine but names no tenant for which telemetry may be sent."""
