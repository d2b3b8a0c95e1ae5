"""Tenants: what is remembered of each between its requests, bounded in number."""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from udfs.normalise.context import Context, Privacy
from udfs.normalise.streams import Streams
from udfs.normalise.wrappers import Wrappers
from udfs.prices.table import PriceTable
from udfs.text.judge import KeywordRule

REMEMBERED_MAX: Final = 1_000
"""Tenants whose cumulative counters and open traces are remembered, those that sent last."""


class TextSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of prompts and answers. Their keyed hashes and lengths are written whatever stands here."""

    keep: tuple[str, ...] = ()
    """Tenants that opted in to their texts being written to Kafka."""
    redact: bool = True
    """Blank e-mail addresses, keys and card numbers in texts that are kept."""
    hash_secret: str | None = None
    """A file with at least 16 bytes, from which tenants' keys for hashes are made; without one it is made at the first
    start, beside the buffer. Instances with the same file give a text the same hash."""
    rules: tuple[KeywordRule, ...] = ()
    """By which texts are judged before they are hashed; the verdict is `data.guardrail`."""


class Tenant(Struct, frozen=True):
    """One tenant."""

    privacy: Privacy
    wrappers: Wrappers
    streams: Streams


class Tenants:
    """All tenants; `secret` is what their own keys for hashes are made from."""

    def __init__(
        self,
        *,
        secret: bytes,
        texts: TextSettings,
        prices: PriceTable,
        environment: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._texts = texts
        self.prices = prices
        """Replaced when the price table changes."""
        self._environment = environment
        self._clock = clock
        self._began_at_ms = int(clock() * 1_000)
        self._tenants: OrderedDict[str, Tenant] = OrderedDict()

    def tenant(self, name: str) -> Tenant:
        """Return what is remembered of a tenant."""
        found = self._tenants.get(name)
        if found is not None:
            self._tenants.move_to_end(name)
            return found
        privacy = Privacy(
            hash_key=hmac.digest(self._secret, name.encode(), hashlib.sha256),
            keep_texts=name in self._texts.keep,
            redact=self._texts.redact,
        )
        made = self._tenants[name] = Tenant(privacy, Wrappers(), Streams(self._began_at_ms))
        if len(self._tenants) > REMEMBERED_MAX:
            self._tenants.popitem(last=False)
        return made

    def context(self, name: str) -> Context:
        """Return what holds for all items of a request of the tenant that came now."""
        return Context(
            tenant_id=name,
            received_at_ms=int(self._clock() * 1_000),
            prices=self.prices,
            privacy=self.tenant(name).privacy,
            environment=self._environment,
            text_rules=self._texts.rules,
        )
