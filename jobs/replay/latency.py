"""How long calls take: measured times to the first token and between tokens, drawn again for any number of tokens."""

import csv
import gzip
from pathlib import Path

import numpy as np
from msgspec import Struct

from jobs.replay.arrivals import F64, I64
from jobs.replay.readers import TRACES

MEASURED_PROMPT_TOKENS = 550
"""Prompt length of every request behind the profiles."""

PREFILL_MS_PER_TOKEN = 0.1
"""What each further prompt token that is not cached adds to the time to the first token.

An assumption (10,000 tokens a second): the measurements have one prompt length only.
"""

FIRST_TOKEN_NOISE, BETWEEN_TOKENS_NOISE = 0.10, 0.05
"""Standard deviations of the logarithms by which drawn measurements are smoothed: there are only 20 to 150 of each."""


class LatencyProfile(Struct, frozen=True, eq=False, kw_only=True):
    """Measurements of one endpoint, in pairs: whoever waits long for the first token often waits for the others too."""

    first_token_ms: F64
    between_tokens_ms: F64

    def drawn(self, generator: np.random.Generator, size: int) -> tuple[F64, F64]:
        """Return `size` pairs (time to the first token, time between tokens), both in ms: a smoothed bootstrap."""
        row = generator.integers(len(self.first_token_ms), size=size)
        noise = generator.standard_normal((2, size))
        return (
            self.first_token_ms[row] * np.exp(FIRST_TOKEN_NOISE * noise[0]),
            self.between_tokens_ms[row] * np.exp(BETWEEN_TOKENS_NOISE * noise[1]),
        )


def prefill_ms(prompt_tokens: I64, cached_tokens: I64) -> F64:
    """Return what the length of the prompt adds to the time to the first token, beyond the measured length."""
    fresh = prompt_tokens - np.maximum(cached_tokens, 0)
    added: F64 = PREFILL_MS_PER_TOKEN * np.maximum(fresh - MEASURED_PROMPT_TOKENS, 0)
    return added


def latency_profiles(path: Path = TRACES / "llmperf.csv.gz") -> dict[str, LatencyProfile]:
    """Return the profile of every `provider/model` of the LLMPerf leaderboard (Ray project, 2023).

    The time between tokens is that of decoding, (end to end - first token) / (tokens - 1): the published column
    counts the first token in. Requests with an error code are left out.
    """
    measured: dict[str, list[tuple[float, float]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            tokens = float(row["number_output_tokens"] or 0.0)
            if row["error_code"] or tokens <= 1.0:
                continue
            first_s, whole_s = float(row["ttft_s"]), float(row["end_to_end_latency_s"])
            pair = (first_s * 1000.0, (whole_s - first_s) / (tokens - 1.0) * 1000.0)
            measured.setdefault(f"{row['provider']}/{row['model']}", []).append(pair)
    profiles = {}
    for endpoint, pairs in measured.items():
        columns = np.array(pairs).T
        profiles[endpoint] = LatencyProfile(first_token_ms=columns[0], between_tokens_ms=columns[1])
    return profiles
