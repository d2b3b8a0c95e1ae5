"""What normalising needs besides telemetry, for tests."""

from typing import Any

from udfs.normalise.context import Context, Privacy
from udfs.prices.document import read_document
from udfs.prices.table import PriceTable

PRICES = b"""{"as_of": "2026-05-01", "source": "made up", "models": [
 {"provider": "openai", "model": "gpt-4o", "match": {"starts_with": "gpt-4o"},
  "prices": [{"input_mtok": 2.5, "output_mtok": 10, "cache_read_mtok": 1.25}]},
 {"provider": "anthropic", "model": "claude-sonnet-4-5", "match": {"starts_with": "claude-sonnet-4-5"},
  "prices": [{"input_mtok": {"base": 3, "tiers": [{"start": 200000, "price": 6}]},
              "output_mtok": {"base": 15, "tiers": [{"start": 200000, "price": 22.5}]},
              "cache_read_mtok": 0.3, "cache_write_mtok": 3.75}]}
]}"""
TABLE = read_document(PRICES, as_of="", source="").table()


def context(prices: PriceTable | None = None, **fields: Any) -> Context:
    """Return the context of a request of the tenant `acme`."""
    values: dict[str, Any] = {
        "tenant_id": "acme",
        "received_at_ms": 1_780_000_002_000,
        "prices": prices or TABLE,
        "privacy": Privacy(hash_key=b"a key for no one but tests"),
    }
    return Context(**(values | fields))
