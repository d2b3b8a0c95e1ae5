"""JSON Web Tokens, checked as RFC 8725 (JSON Web Token Best Current Practices) asks.

Only asymmetric algorithms from a list, so that neither `none` nor a public key used as an HMAC secret passes; issuer,
audience and expiry are required; the type must be that of an access token; keys come from the configured JWKS and from
nowhere that the token names.
"""

import base64
import hashlib
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from jobs.errors import SentinelError
from jobs.ingestion.auth.caller import Caller, ForbiddenError, UnauthenticatedError
from jobs.ingestion.auth.token_settings import TokenSettings

TOKEN_BYTES_MAX: Final = 8_192
_JWKS_BYTES_MAX: Final = 1_048_576
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_TIMEOUT_S: Final = 5.0
_REFRESH_S: Final = 30.0
"""A token with an unknown key id asks for the keys again, but not more often than this."""
_CACHED_S: Final = 60.0
_CACHED_MAX: Final = 1_024


class TokenChecker:
    """Checks tokens against the keys of one issuer; keys are fetched again when a token names one that is unknown."""

    def __init__(self, settings: TokenSettings, folder: Path, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._fetched_at = clock()
        self._keys, self._key_ids = self._fetch()
        self._checked: dict[bytes, tuple[Caller, float]] = {}

    def needs_keys(self, token: str) -> bool:
        """Return whether checking this token may fetch keys, which takes time and belongs into a thread."""
        key_id = _header(token).get("kid")
        return key_id not in self._key_ids and self._clock() - self._fetched_at >= _REFRESH_S

    def caller(self, token: str) -> Caller:
        """Return whose token it is; raises UnauthenticatedError or ForbiddenError."""
        if len(token) > TOKEN_BYTES_MAX:
            raise UnauthenticatedError(f"The token is longer than {TOKEN_BYTES_MAX} bytes.")
        now = self._clock()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._checked.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        caller, expires_at = self._check(token, now)
        if len(self._checked) >= _CACHED_MAX:
            self._checked.clear()
        self._checked[digest] = caller, min(expires_at + self._settings.leeway_s, now + _CACHED_S)
        return caller

    def _check(self, token: str, now: float) -> tuple[Caller, float]:
        settings = self._settings
        header = _header(token)
        if str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise UnauthenticatedError("The token is of a type that is no access token.")
        if self.needs_keys(token):
            self._refresh(now)
        try:
            decoded = jwt.decode(token, self._keys, algorithms=list(settings.algorithms))
            jwt.JWTClaimsRegistry(
                now=lambda: int(now),
                leeway=settings.leeway_s,
                iss={"essential": True, "value": settings.issuer},
                aud={"essential": True, "value": settings.audience},
                exp={"essential": True},
            ).validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as problem:
            raise UnauthenticatedError(f"The token is not valid here: {_why(problem)}.") from None
        tenant = decoded.claims.get(settings.tenant_claim)
        if not isinstance(tenant, str) or not 0 < len(tenant) <= 256 or not tenant.isprintable():  # noqa: PLR2004
            raise ForbiddenError(f"The token names no tenant in its claim {settings.tenant_claim!r}.")
        name = str(decoded.claims.get("sub", ""))[:64]
        return Caller(tenant=tenant, how="token", name=name), float(decoded.claims["exp"])

    def _refresh(self, now: float) -> None:
        with self._lock:
            if now - self._fetched_at < _REFRESH_S:
                return
            self._fetched_at = now
            try:
                self._keys, self._key_ids = self._fetch()
            except SentinelError as problem:
                # The keys that were good a moment ago are better than none.
                raise UnauthenticatedError("The token names a key that is not known here.") from problem

    def _fetch(self) -> tuple[KeySet, frozenset[str | None]]:
        where = self._settings.jwks
        try:
            document = _download(where) if "://" in where else (self._folder / where).read_bytes()
            raw: Any = msgspec.json.decode(document)
            public = [key for key in raw["keys"] if key.get("kty") != "oct" and key.get("use", "sig") == "sig"]
            keys = KeySet.import_key_set({"keys": public})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError) as problem:
            raise SentinelError(f"auth.jwt.jwks: cannot read keys from {where}: {problem}.") from None
        if not public:
            raise SentinelError(f"auth.jwt.jwks: {where} holds no public key for signatures.")
        return keys, frozenset(key.get("kid") for key in public)


def _header(token: str) -> dict[str, Any]:
    encoded = token.split(".", 1)[0]
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except ValueError:
        raise UnauthenticatedError("The credential is neither an API key nor a JSON Web Token.") from None
    return header if isinstance(header, dict) else {}


def _why(problem: Exception) -> str:
    # What joserfc says names claims and codes, never values of the token.
    return problem.error if isinstance(problem, JoseError) else "it is malformed"


def _download(url: str) -> bytes:
    is_local = url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
    if not (url.startswith("https://") or is_local):
        raise OSError("keys are only fetched by https:, or from loopback")
    opener = urllib.request.build_opener(
        *((urllib.request.ProxyHandler({}),) if is_local else ()),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
    )
    with opener.open(url, timeout=_TIMEOUT_S) as answer:
        document: bytes = answer.read(_JWKS_BYTES_MAX + 1)
    if len(document) > _JWKS_BYTES_MAX:
        raise OSError(f"more than {_JWKS_BYTES_MAX} bytes")
    return document
