"""Context: what ingestion knows of a request besides its bytes."""

from typing import Final

from msgspec import Struct

from udfs.prices.table import PriceTable
from udfs.text.judge import KeywordRule

HASH_KEY_BYTES_MIN: Final = 16


class Privacy(Struct, frozen=True, kw_only=True):
    """What becomes of prompts and answers of a tenant.

    `hash_key` is the tenant's own secret: without it a hash of a short text could be found by trying. It raises
    ValueError if it has fewer than 16 bytes.
    """

    hash_key: bytes
    keep_texts: bool = False
    """True if the tenant opted in to texts being stored; hashes and lengths are written either way."""
    redact: bool = False
    """True to blank e-mail addresses, keys and card numbers in every text that is kept."""

    def __post_init__(self) -> None:
        """Refuse a key that gives no protection."""
        if len(self.hash_key) < HASH_KEY_BYTES_MIN:
            raise ValueError(f"hash_key: {len(self.hash_key)} bytes, fewer than {HASH_KEY_BYTES_MIN}")


class Context(Struct, frozen=True, kw_only=True):
    """What holds for all items of one request, whoever wrote them."""

    tenant_id: str
    """Of the credential. What a payload says of its tenant is never believed."""
    received_at_ms: int
    """When the request came, in milliseconds since the epoch."""
    prices: PriceTable
    privacy: Privacy
    environment: str | None = None
    """Of events that name none."""
    text_rules: tuple[KeywordRule, ...] = ()
    """By which prompts and answers are judged before they are hashed."""
