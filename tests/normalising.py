"""What normalising needs besides telemetry, for tests."""

from typing import Any

from udfs.normalise.context import Context, Privacy
from udfs.prices.table import PriceTable, read_table

PRICES = b"""[
 {"provider": "openai", "model": "gpt-4o", "match": {"starts_with": "gpt-4o"},
  "prices": [{"input_mtok": 2.5, "output_mtok": 10, "cache_read_mtok": 1.25}]}
]"""


def context(prices: PriceTable | None = None, **fields: Any) -> Context:
    """Return the context of a request of the tenant `acme`."""
    values: dict[str, Any] = {
        "tenant_id": "acme",
        "received_at_ms": 1_780_000_002_000,
        "prices": prices or read_table(PRICES),
        "privacy": Privacy(hash_key=b"a key for no one but tests"),
    }
    return Context(**(values | fields))
