"""Observations of the kind that a detector watches, made up to put it to the test."""

import numpy as np

from udfs.aggregates import OBSERVED
from udfs.detector import STEP_MS, Detector
from udfs.kernels import Floats, Integers

START_AT_MS = 1_790_000_000_000
_LEAST = 240
"""Observations that end a warm-up at least."""

_USUAL = {
    "latency_ms": 800.0,
    "ttft_ms": 300.0,
    "prompt_tokens": 400.0,
    "completion_tokens": 200.0,
    "cost_usd": 0.01,
    "error": 0.0,
    "error_rate": 0.0,
    # For a user, what one call adds.
    "calls_per_s": 1.0,
    "tokens_per_s": 600.0,
    "cost_usd_per_s": 0.003,
    "latency_ms_per_token": 20.0,
    # Codes of what is called, and when.
    "model": 5.0,
    "hour": 12.0,
}
_WORST = {"error": 1.0, "error_rate": 1.0}
"""What a metric is in the worst case, where that is not a thousand times the usual."""


class Observations:
    """Observations of one entity: event times, values of every observed metric, volumes; arrays of one length."""

    def __init__(self, detector: Detector, count: int, *, seed: int = 1, scatter: float = 0.2) -> None:
        """Draw `count` of them around what is usual, log-normal with a deviation of `scatter`; constant if it is 0."""
        self.names = OBSERVED[detector.on, detector.entity]
        self.count = count
        draw = np.random.default_rng(seed)
        usual = np.array([usual_of(name) for name in self.names])
        shape = (count, len(self.names))
        self.values: Floats = usual * draw.lognormal(0.0, scatter, shape) if scatter else np.tile(usual, (count, 1))
        self.at_ms: Integers = START_AT_MS + gap_ms(detector) * np.arange(1, count + 1, dtype=np.int64)
        self.volumes: Floats = np.full(count, 1.0 if detector.on == "event" else 30.0)
        self.rows: Integers = np.zeros(count, dtype=np.int64)

    @property
    def end_at_ms(self) -> int:
        """Event time of the newest."""
        return int(self.at_ms[-1])


def usual_of(name: str) -> float:
    """Return a usual value of a metric, in its unit."""
    known = [metric for metric in _USUAL if name == metric or name.startswith(f"{metric}_")]
    return _USUAL[max(known, key=len)]


def gap_ms(detector: Detector) -> int:
    """Return how far apart observations of a detector's kind are made."""
    if detector.on != "event":
        return STEP_MS[detector.on]
    return 20_000 if detector.entity == "user" else 2_000


def warm(detector: Detector, *, seed: int = 1, scatter: float = 0.2) -> Observations:
    """Return observations that end a warm-up with room to spare."""
    count = max(2 * detector.warm_up_samples, 2 * detector.warm_up_ms // gap_ms(detector), _LEAST)
    return Observations(detector, count, seed=seed, scatter=scatter)


def jump(detector: Detector, count: int, after_ms: int) -> Observations:
    """Return observations far above the usual, the first of them one step after `after_ms`."""
    observations = Observations(detector, count, scatter=0.0)
    observations.values *= 1_000.0
    for name, worst in _WORST.items():
        if name in observations.names:
            observations.values[:, observations.names.index(name)] = worst
    observations.at_ms += after_ms - START_AT_MS
    return observations
