"""Newer prices, from where they are published."""

from typing import Final

import httpx

from jobs.errors import SentinelError
from jobs.ingestion.prices import document_of
from udfs.prices.document import PriceDocument

PUBLISHED_URL: Final = "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/data_slim.json"
"""The project that keeps the prices of public providers."""
BYTES_MAX: Final = 32_000_000
"""Bytes of the largest table that is taken."""
_TIMEOUT_S: Final = 30.0


def fetch(url: str) -> PriceDocument:
    """Return the document behind a URL. Raises SentinelError that says what is wrong with it and where."""
    data = bytearray()
    try:
        with httpx.stream("GET", url, timeout=_TIMEOUT_S, follow_redirects=True) as response:
            response.raise_for_status()
            for part in response.iter_bytes():
                data += part
                if len(data) > BYTES_MAX:
                    raise SentinelError(f"prices at {url} are more than {BYTES_MAX} bytes: that is no price table")
    except httpx.HTTPStatusError as error:
        raise SentinelError(f"cannot fetch prices from {url}: status {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SentinelError(f"cannot fetch prices from {url}: {error}") from None
    return document_of(bytes(data), url)
