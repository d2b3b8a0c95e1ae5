"""When the calls of an application end and how many tokens they take: endless, from a recorded or a fitted trace."""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from msgspec import Struct

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MISSING = -1
"""Token count of a call that does not tell it."""

TOKEN_QUANTILES = np.array([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0])
"""Probabilities of the columns of `Renewal.prompt_quantiles`; the outer two are extrapolated by the reader."""


class Arrivals(NamedTuple):
    """A block of calls in the order of their time; all arrays have one element a call."""

    offset_ms: F64
    """Since the start of the replay."""
    prompt_tokens: I64
    completion_tokens: I64
    cached_tokens: I64
    """Prompt tokens read from a prefix cache, or MISSING."""


class Workload(Protocol):
    """A source of calls that never ends and can be had at any mean rate."""

    @property
    def name(self) -> str:
        """The trace it was made from."""

    def arrivals(self, generator: np.random.Generator, rate_per_s: float, block: int) -> Iterator[Arrivals]:
        """Yield blocks of `block` calls, `rate_per_s` a second in the long run; the same generator gives the same."""


class Recorded(Struct, frozen=True, eq=False, kw_only=True):
    """Calls as they were recorded, over and over, entered at a random moment; time is stretched to the wanted rate.

    Stretching keeps the bursts as they were, counted in calls.
    """

    name: str
    arrived_ms: F64
    """Ascending, since the start of the trace."""
    period_ms: float
    """Length of the trace: more than the last arrival."""
    prompt_tokens: I64
    completion_tokens: I64
    cached_tokens: I64

    def arrivals(self, generator: np.random.Generator, rate_per_s: float, block: int) -> Iterator[Arrivals]:
        """Yield the recorded calls in their order."""
        calls = len(self.arrived_ms)
        stretch = calls / self.period_ms * 1000.0 / rate_per_s
        entered_ms = generator.random() * self.period_ms
        position = int(np.searchsorted(self.arrived_ms, entered_ms))
        while True:
            turn, row = np.divmod(np.arange(position, position + block), calls)
            offset_ms = (self.arrived_ms[row] + self.period_ms * turn - entered_ms) * stretch
            yield Arrivals(offset_ms, self.prompt_tokens[row], self.completion_tokens[row], self.cached_tokens[row])
            position += block


class Renewal(Struct, frozen=True, eq=False, kw_only=True):
    """Calls drawn from a client's published rate, burstiness and token quantiles, over and over.

    Gaps between calls follow the fitted family (Gamma or Weibull) with the published coefficient of variation, in
    operational time; the inverse of the cumulative rate turns that into clock time, so the daily course of the rate
    is kept. A block follows the law of the window it begins in. Prompt and completion tokens are drawn independently:
    their joint distribution is not published. Source: Xiang et al. (2025), ServeGen.
    """

    name: str
    grid_ms: F64
    """Clock times from 0 to the length of the trace."""
    cumulative_calls: F64
    """Expected calls up to each time of the grid; strictly ascending from 0."""
    window_ms: float
    """Length of the windows that the following describe, one row a window."""
    cv: F64
    weibull: npt.NDArray[np.bool_]
    prompt_quantiles: F64
    """Windows by TOKEN_QUANTILES, tokens >= 1."""
    completion_quantiles: F64

    def arrivals(self, generator: np.random.Generator, rate_per_s: float, block: int) -> Iterator[Arrivals]:
        """Yield drawn calls."""
        period_ms, period_calls = float(self.grid_ms[-1]), float(self.cumulative_calls[-1])
        thinning = period_calls / period_ms * 1000.0 / rate_per_s
        entered_ms = generator.random() * period_ms
        reached_calls, reached_ms = float(np.interp(entered_ms, self.grid_ms, self.cumulative_calls)), entered_ms
        missing = np.full(block, MISSING)
        while True:
            window = int(reached_ms % period_ms // self.window_ms) % len(self.cv)
            gaps = unit_gaps(generator, float(self.cv[window]), weibull=bool(self.weibull[window]), size=block)
            expected_calls = reached_calls + np.cumsum(gaps) * thinning
            turn, within = np.divmod(expected_calls, period_calls)
            at_ms = turn * period_ms + np.interp(within, self.cumulative_calls, self.grid_ms)
            yield Arrivals(
                at_ms - entered_ms,
                _drawn_tokens(generator, self.prompt_quantiles[window], block),
                _drawn_tokens(generator, self.completion_quantiles[window], block),
                missing,
            )
            reached_calls, reached_ms = float(expected_calls[-1]), float(at_ms[-1])


def unit_gaps(generator: np.random.Generator, cv: float, *, weibull: bool, size: int) -> F64:
    """Return gaps of mean 1 and the given coefficient of variation (kept in [0.1, 15])."""
    cv = min(max(cv, 0.1), 15.0)
    if not weibull:
        shape = 1.0 / (cv * cv)
        return generator.standard_gamma(shape, size) / shape
    shape = float(np.interp(-cv, -_WEIBULL_CV, _WEIBULL_SHAPES))
    return generator.weibull(shape, size) / math.gamma(1.0 + 1.0 / shape)


def _weibull_cv(shape: float) -> float:
    return math.sqrt(math.exp(math.lgamma(1.0 + 2.0 / shape) - 2.0 * math.lgamma(1.0 + 1.0 / shape)) - 1.0)


# The coefficient of variation falls with the shape; a Weibull of shape 0.2 has 15.8, one of shape 12 has 0.1.
_WEIBULL_SHAPES = np.geomspace(0.2, 13.0, 400)
_WEIBULL_CV = np.array([_weibull_cv(float(shape)) for shape in _WEIBULL_SHAPES])


def _drawn_tokens(generator: np.random.Generator, quantiles: F64, size: int) -> I64:
    # Interpolated in the logarithm: token counts are spread over orders of magnitude.
    drawn = np.exp(np.interp(generator.random(size), TOKEN_QUANTILES, np.log(quantiles)))
    tokens: I64 = np.rint(drawn).astype(np.int64)
    return tokens
