"""Which JSON Web Tokens are accepted."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class TokenSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tokens are accepted."""

    issuer: Annotated[str, Meta(min_length=1)]
    audience: Annotated[str, Meta(min_length=1)]
    jwks: Annotated[str, Meta(min_length=1)]
    """A file, or an `https:` address (`http:` on loopback)."""
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256", "EdDSA")
    tenant_claim: str = "tenant"
    leeway_s: Annotated[int, Meta(ge=0, le=300)] = 30
