"""What calls cost: a price table reduced to the models of the replay."""

from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from jobs.replay.arrivals import F64, I64
from jobs.replay.readers import TRACES


class Price(Struct, frozen=True, kw_only=True):
    """US dollars a million tokens."""

    provider: str
    model: str
    input_mtok: float
    output_mtok: float
    cache_read_mtok: float | None = None
    """None means the input price."""

    def cost_usd(self, prompt_tokens: I64, completion_tokens: I64, cached_tokens: I64) -> F64:
        """Return the cost of each call; cached prompt tokens are part of the prompt tokens."""
        cached = np.maximum(cached_tokens, 0)
        cache_read = self.input_mtok if self.cache_read_mtok is None else self.cache_read_mtok
        micro_usd: F64 = (
            self.input_mtok * (prompt_tokens - cached) + cache_read * cached + self.output_mtok * completion_tokens
        )
        return micro_usd * 1e-6


def price_table(path: Path = TRACES / "prices.json") -> dict[str, Price]:
    """Return the price of every `provider/model` of the packaged table (pydantic/genai-prices)."""
    prices = msgspec.json.decode(path.read_bytes(), type=tuple[Price, ...])
    return {f"{price.provider}/{price.model}": price for price in prices}
