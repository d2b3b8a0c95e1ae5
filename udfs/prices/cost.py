"""Cost: what a call costs by its tokens."""

from udfs.prices.table import Prices, Tiered


def cost_usd(
    prices: Prices,
    *,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    cached_tokens: int | None = None,
    cache_write_tokens: int | None = None,
    audio_prompt_tokens: int | None = None,
    audio_completion_tokens: int | None = None,
) -> float | None:
    """Return the cost of a call in US dollars, None if there are no tokens or no price for a kind of them.

    Cached and audio tokens are parts of the prompt's and cost what they cost in place of the input price. Some
    reporters leave cached ones out of the prompt's: where there are more of them than of the prompt's, they come on
    top. Reasoning tokens are a part of the completion's and cost what those cost.
    """
    if prompt_tokens is None and completion_tokens is None:
        return None
    plain, answer = prompt_tokens or 0, completion_tokens or 0
    read, written = cached_tokens or 0, cache_write_tokens or 0
    is_part = read + written <= plain
    whole = plain if is_part else plain + read + written
    heard = min(audio_prompt_tokens or 0, plain - (read + written if is_part else 0))
    spoken = min(audio_completion_tokens or 0, answer)
    kinds = (
        (plain - heard - (read + written if is_part else 0), prices.input_mtok),
        (read, prices.input_mtok if prices.cache_read_mtok is None else prices.cache_read_mtok),
        (written, prices.input_mtok if prices.cache_write_mtok is None else prices.cache_write_mtok),
        (heard, prices.input_audio_mtok),
        (answer - spoken, prices.output_mtok),
        (spoken, prices.output_audio_mtok),
    )
    micro_usd = 0.0
    for tokens, rate in kinds:
        if not tokens:
            continue
        if rate is None:
            return None
        micro_usd += tokens * (rate.at(whole) if isinstance(rate, Tiered) else rate)
    return round(micro_usd * 1e-6, 12)
