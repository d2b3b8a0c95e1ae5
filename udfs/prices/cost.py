"""Cost: what a call costs by its tokens."""

from udfs.prices.table import Prices, Rate


def cost_usd(
    prices: Prices,
    *,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    cached_tokens: int | None = None,
    cache_write_tokens: int | None = None,
) -> float | None:
    """Return the cost of a call in US dollars, None if there are no tokens or no price for a kind of them.

    Cached tokens are part of the prompt's, and cost what they cost in place of the input price. Some reporters leave
    them out of the prompt's: where there are more of them than of the prompt's, they come on top. Reasoning tokens are
    part of the completion's.
    """
    if prompt_tokens is None and completion_tokens is None:
        return None
    read, written = cached_tokens or 0, cache_write_tokens or 0
    plain = prompt_tokens or 0
    full = plain if read + written <= plain else plain + read + written
    if read + written <= plain:
        plain -= read + written
    dollars = 0.0
    for tokens, rate in (
        (plain, prices.input_mtok),
        (read, prices.input_mtok if prices.cache_read_mtok is None else prices.cache_read_mtok),
        (written, prices.input_mtok if prices.cache_write_mtok is None else prices.cache_write_mtok),
        (completion_tokens or 0, prices.output_mtok),
    ):
        if not tokens:
            continue
        if rate is None:
            return None
        dollars += tokens * _rate(rate, full)
    return round(dollars / 1e6, 12)


def _rate(rate: Rate, input_tokens: int) -> float:
    return rate if isinstance(rate, float) else rate.at(input_tokens)
