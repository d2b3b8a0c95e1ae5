"""API keys: made once, shown once, kept as a hash.

A key is `sentinel_<id>_<secret>`; the id finds its record, the secret has 256 random bits, so that a plain SHA-256 of
the whole key is as good at rest as a slow hash would be.
"""

import hashlib
import hmac
import re
import secrets
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from jobs.ingestion.auth.caller import Caller, ForbiddenError, UnauthenticatedError
from schemas.telemetry import Identifier
from schemas.time import Instant, to_at_ms
from schemas.yaml_document import read_yaml

PREFIX: Final = "sentinel_"
_FORM: Final = re.compile(r"sentinel_(?P<id>[0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NO_HASH: Final = "0" * 64


class ApiKey(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One key at rest."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{12}$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    """Of the whole key, in hexadecimal."""
    tenant: Identifier
    note: str | None = None
    expires_at: Instant | None = None
    disabled: bool = False
    """A disabled key is known and forbidden (403); one that was removed is unknown (401)."""


class _KeyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keys: tuple[ApiKey, ...] = ()


def new_key(tenant: str, *, note: str | None = None, expires_at: str | None = None) -> tuple[str, ApiKey]:
    """Return a new key, to be shown once, and its record, to be kept."""
    key_id = secrets.token_hex(6)
    key = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
    return key, ApiKey(id=key_id, sha256=_hash(key), tenant=tenant, note=note, expires_at=expires_at)


def read_keys(document: bytes) -> tuple[ApiKey, ...]:
    """Return the keys in a YAML document; raises ValueError with what is wrong and where."""
    keys = msgspec.convert(read_yaml(document) or {}, _KeyFile).keys
    seen = set()
    for key in keys:
        if key.id in seen:
            raise ValueError(f"two keys have the id {key.id}")
        seen.add(key.id)
        if key.expires_at is not None:
            to_at_ms(key.expires_at)
    return keys


def write_keys(keys: tuple[ApiKey, ...]) -> bytes:
    """Return the YAML document that holds the keys."""
    return msgspec.yaml.encode(_KeyFile(keys=keys))


class KeyRing:
    """The keys in force."""

    def __init__(self, keys: tuple[ApiKey, ...]) -> None:
        self._by_id = {key.id: key for key in keys}

    def caller(self, key: str, now_ms: int) -> Caller:
        """Return whose key it is; raises UnauthenticatedError or ForbiddenError."""
        found = _FORM.fullmatch(key)
        record = self._by_id.get(found["id"]) if found else None
        # A hash is compared for unknown ids as well: how long the answer takes says nothing of which ids there are.
        is_right = hmac.compare_digest(_hash(key), record.sha256 if record else _NO_HASH)
        if record is None or not is_right:
            raise UnauthenticatedError("The API key is not known here.")
        if record.expires_at is not None and to_at_ms(record.expires_at) <= now_ms:
            raise UnauthenticatedError(f"The API key {record.id} has expired.")
        if record.disabled:
            raise ForbiddenError(f"The API key {record.id} is disabled.")
        return Caller(tenant=record.tenant, how="key", name=record.id)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
