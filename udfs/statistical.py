"""Statistical detectors: each a frozen struct of parameters for the driver of `udfs.baseline`; it holds no state."""

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from schemas.anomaly import DetectorType
from udfs.baseline import BINOMIAL, SERIES_WIDTH, Z_SCORE, Floats

Positive = Annotated[float, Meta(gt=0)]
Identifier = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Statistical(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every statistical detector has; times are event time."""

    detector_id: Identifier
    on: Literal["event", "1s", "10s", "1m"]
    entity: Literal["model", "tenant_provider", "provider"] = "model"
    metrics: tuple[str, ...]
    warning: Positive
    """Score from which an observation is an anomaly."""
    critical: Positive
    half_life: Positive = 200.0
    """Observations after which one counts half."""
    warm_up_samples: Annotated[int, Meta(ge=2)] = 30
    warm_up_ms: Annotated[int, Meta(ge=0)] = 300_000
    volume_min: Annotated[float, Meta(ge=1)] = 1.0
    """Calls a window must hold to be judged."""
    consecutive: Annotated[int, Meta(ge=1)] = 1
    refractory_ms: Annotated[int, Meta(ge=0)] = 60_000
    """While an episode lasts it is told of once in this time, and whenever it becomes more severe."""
    relearn_samples: Annotated[int, Meta(ge=1)] = 60
    relearn_ms: Annotated[int, Meta(ge=0)] = 1_800_000
    """A level that lasted this long, in so many observations, is the new normal."""
    direction: Literal["both", "high", "low"] = "both"
    forget_ms: Annotated[int, Meta(gt=0)] = 7 * 86_400_000
    """A series not seen for this long begins again."""

    version = "1"
    detector_type = DetectorType.STATISTICAL
    method = ""
    kind = 0
    deviation_floor = 0.0

    @property
    def state_version(self) -> int:
        """Version of what the state's columns mean."""
        return 1

    @property
    def state_width(self) -> int:
        """Floats of state per key: 72 bytes a series."""
        return SERIES_WIDTH * len(self.metrics)

    def parameters(self) -> Floats:
        """Return the parameters as the kernels take them (`udfs.baseline.PARAMETERS`)."""
        return np.array(
            [
                self.kind,
                self.warm_up_samples,
                self.warm_up_ms,
                self.warning,
                self.critical,
                self.half_life,
                self.deviation_floor,
                self.volume_min,
                self.consecutive,
                self.refractory_ms,
                self.relearn_samples,
                self.relearn_ms,
                {"both": 0, "high": 1, "low": -1}[self.direction],
                self.forget_ms,
            ],
            dtype=np.float64,
        )


class ZScore(Statistical, frozen=True, tag="zscore"):
    """Distance from an exponentially weighted mean on log scale, in standard deviations (Finch 2009; Huber 1964).

    The deviation of a mean of n values shrinks with the root of n, so that busy and quiet series are judged alike. A
    constant baseline has the floor as deviation, so that a jump from it is seen. 2 floats beside the header.
    """

    deviation_floor: Positive = 0.05
    """Smallest deviation on log scale that is believed: 0.05 is 5 per cent."""
    method = "z-score of log value"
    kind = Z_SCORE


class ErrorRate(Statistical, frozen=True, tag="error_rate"):
    """Signed root of the binomial deviance of failed calls against the series' own rate (McCullagh and Nelder 1989).

    Counts matter: one failure of two calls is no outage. Rates below `deviation_floor` are never anomalous.
    """

    metrics: tuple[str, ...] = ("error_rate",)
    deviation_floor: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    """Share of failed calls below which nobody is told."""
    direction: Literal["both", "high", "low"] = "high"
    method = "binomial deviance"
    kind = BINOMIAL


AnyDetector = ZScore | ErrorRate

_AVERAGES = (
    "latency_ms_mean",
    "latency_ms_p95",
    "ttft_ms_mean",
    "prompt_tokens_mean",
    "completion_tokens_mean",
    "cost_usd_mean",
)


def default_detectors() -> tuple[AnyDetector, ...]:
    """Return the one default configuration."""
    return (
        ZScore(
            detector_id="event-zscore",
            on="event",
            metrics=("latency_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "cost_usd"),
            # A lognormal of sigma 1 with a fat tail reaches 6 once in hundreds of millions; mixtures need the rest.
            warning=8.0,
            critical=12.0,
            half_life=2000,
            warm_up_samples=200,
            warm_up_ms=60_000,
            deviation_floor=0.25,
            direction="high",
            relearn_samples=500,
        ),
        ErrorRate(
            detector_id="error-rate-10s",
            on="10s",
            warning=5.0,
            critical=8.0,
            volume_min=5,
            warm_up_samples=12,
            warm_up_ms=120_000,
            deviation_floor=0.2,
        ),
        ErrorRate(detector_id="error-rate-1m", on="1m", warning=4.5, critical=8.0, volume_min=10, warm_up_samples=5),
        ZScore(
            detector_id="window-zscore-1m",
            on="1m",
            metrics=_AVERAGES,
            warning=6.0,
            critical=12.0,
            volume_min=10,
            warm_up_samples=10,
        ),
        ErrorRate(
            detector_id="provider-error-rate-10s",
            on="10s",
            entity="tenant_provider",
            warning=6.0,
            critical=10.0,
            volume_min=20,
            warm_up_samples=12,
            warm_up_ms=120_000,
            deviation_floor=0.2,
        ),
        ErrorRate(
            detector_id="operator-error-rate-10s",
            on="10s",
            entity="provider",
            warning=6.0,
            critical=10.0,
            volume_min=50,
            warm_up_samples=12,
            warm_up_ms=120_000,
            deviation_floor=0.2,
        ),
    )
