"""Price table: what tokens of each model cost, since when."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from msgspec import Struct

from udfs.prices.matching import matches

ANY_PROVIDER: Final = "*"
MAKERS: Final = ("openai", "anthropic", "google", "mistral", "cohere", "deepseek", "x-ai")
"""Providers who make models, in whose lists a model is looked for if nobody says who served it."""
_CACHED_LOOKUPS: Final = 4_096


class Tier(Struct, frozen=True, forbid_unknown_fields=True):
    """A price for requests with more than `start` input tokens; it holds for the whole request."""

    start: int
    price: float


class Tiered(Struct, frozen=True, forbid_unknown_fields=True):
    """A price that depends on how long the input is."""

    base: float
    tiers: tuple[Tier, ...]

    def at(self, input_tokens: int) -> float:
        """Return the price of a request with so many input tokens."""
        return max(
            (tier for tier in self.tiers if input_tokens > tier.start),
            key=lambda tier: tier.start,
            default=Tier(0, self.base),
        ).price


Rate = float | Tiered
"""US dollars a million tokens."""


class Constraint(Struct, frozen=True, forbid_unknown_fields=True):
    """When prices hold: from a day on, or in a period of every day (UTC)."""

    start_date: str | None = None
    start_time: str | None = None
    end_time: str | None = None


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of one model while their constraint holds; a kind without a price costs what input costs."""

    constraint: Constraint | None = None
    input_mtok: Rate | None = None
    output_mtok: Rate | None = None
    cache_read_mtok: Rate | None = None
    cache_write_mtok: Rate | None = None
    input_audio_mtok: Rate | None = None
    output_audio_mtok: Rate | None = None


class PricedModel(Struct, frozen=True, forbid_unknown_fields=True):
    """A model of a provider, by which names it goes, and its prices in the order of time."""

    provider: str
    model: str
    match: dict[str, Any]
    prices: tuple[Prices, ...]


class PriceTable:
    """Prices by provider, name of the model and time."""

    def __init__(self, models: Mapping[str, tuple[PricedModel, ...]]) -> None:
        """Take the models of each provider in the order in which they are tried."""
        self._models = models
        self._found: dict[tuple[str, str], PricedModel | None] = {}

    def prices(self, provider: str, model: str, at_ms: int) -> Prices | None:
        """Return what holds for a model at a time, or None for a model that the table does not have.

        `provider` is whose list holds, as the table calls it; `*` is that of the model's maker. A name with a prefix
        (`openai/gpt-4o`) is looked for with it first, then without.
        """
        key = (provider, model)
        try:
            found = self._found[key]
        except KeyError:
            found = self.find(provider, model)
            if len(self._found) >= _CACHED_LOOKUPS:
                self._found.clear()
            self._found[key] = found
        return None if found is None else prices_at(found.prices, at_ms)

    def find(self, provider: str, model: str) -> PricedModel | None:
        """Return the entry of a model, or None."""
        whole = model.lower()
        for name in dict.fromkeys((whole, whole.rpartition("/")[2])):
            for each in MAKERS if provider == ANY_PROVIDER else (provider,):
                for priced in self._models.get(each, ()):
                    if matches(priced.match, name):
                        return priced
        return None

    def __iter__(self) -> Iterator[PricedModel]:
        """Yield every entry, provider by provider."""
        return chain.from_iterable(self._models.values())

    def __len__(self) -> int:
        """Return how many models the table has."""
        return sum(map(len, self._models.values()))


def prices_at(prices: tuple[Prices, ...], at_ms: int) -> Prices | None:
    """Return the last prices that hold."""
    if len(prices) == 1 and prices[0].constraint is None:
        return prices[0]
    at = datetime.fromtimestamp(at_ms / 1_000, UTC)
    day, clock = at.date().isoformat(), at.strftime("%H:%M:%SZ")
    for each in reversed(prices):
        if each.constraint is None or _holds(each.constraint, day, clock):
            return each
    return None


def _holds(constraint: Constraint, day: str, clock: str) -> bool:
    if constraint.start_date is not None and day < constraint.start_date:
        return False
    if constraint.start_time is None or constraint.end_time is None:
        return True
    if constraint.start_time <= constraint.end_time:
        return constraint.start_time <= clock < constraint.end_time
    return clock >= constraint.start_time or clock < constraint.end_time
