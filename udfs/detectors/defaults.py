"""Defaults: the one default configuration. It needs no tuning, since every series brings its own scale.

Thresholds are chosen so that ordinary heavy-tailed traffic raises hardly an alarm, and none that is critical;
`docs/detectors.md` says how many it did raise, with the command.
"""

from typing import Literal

from udfs.detector import Detector
from udfs.detectors.autoencoder import Autoencoder
from udfs.detectors.cusum import Cusum
from udfs.detectors.error_burst import ErrorBurst
from udfs.detectors.error_rate import ErrorRate
from udfs.detectors.habit import Habit
from udfs.detectors.hotelling import Hotelling
from udfs.detectors.isolation_forest import IsolationForest
from udfs.detectors.moving_average import MovingAverage
from udfs.detectors.no_data import NoData
from udfs.detectors.percentile_band import PercentileBand
from udfs.detectors.robust_zscore import RobustZScore
from udfs.detectors.runaway_user import RunawayUser
from udfs.detectors.zscore import ZScore

_CALL = ("latency_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "cost_usd")
_MEANS = ("latency_ms_mean", "ttft_ms_mean", "prompt_tokens_mean", "completion_tokens_mean", "cost_usd_mean")
_TIMES = ("latency_ms_mean", "ttft_ms_mean")
_WATCHED = (*_MEANS, "latency_ms_per_token")

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000


def default_detectors() -> tuple[Detector, ...]:
    """Return the detectors of the default configuration."""
    return (*_of_calls(), *_of_users(), *_of_applications(), *_of_models(), *_of_providers())


def _of_calls() -> tuple[Detector, ...]:
    """Single calls: only what is absurd for this application and model."""
    return (
        ZScore(
            detector_id="call-zscore",
            on="event",
            metrics=_CALL,
            warning=8.0,
            critical=12.0,
            direction="high",
            half_life=2_000,
            floor=0.25,
            warm_up_samples=200,
            relearn_samples=500,
        ),
        PercentileBand(
            detector_id="call-percentile",
            on="event",
            metrics=_CALL,
            warning=3.5,
            critical=5.0,
            direction="high",
            share=0.99,
            half_life=5_000,
            floor=0.25,
            warm_up_samples=500,
            relearn_samples=500,
        ),
        ErrorBurst(
            detector_id="error-burst",
            on="event",
            warning=10.5,
            critical=25.0,
            warm_up_samples=50,
            relearn_samples=500,
        ),
    )


def _of_users() -> tuple[Detector, ...]:
    """Users: scripts that got loose."""
    return tuple(
        RunawayUser(
            detector_id=f"runaway-{name}",
            on="event",
            metrics=(metric,),
            typical=typical,
            # As many as a user of the typical rate makes in the minute over which rates are averaged.
            typical_calls=30,
            # Bursts that all users of an application share reach four to five times what each of them ever did.
            warning=6.0,
            critical=critical,
            # One huge call is no runaway: a user has to go on.
            consecutive=3,
            consecutive_critical=3,
            warm_up_samples=20,
            # Twice the time in which a record rises: before, a busy user has had no time to show that it is one.
            warm_up_ms=30 * _MINUTE_MS,
            relearn_samples=500,
            forget_ms=24 * _HOUR_MS,
        )
        # All calls count alike, but tokens and cost are heavy-tailed: many times the usual is less remarkable there.
        for name, metric, typical, critical in (
            ("calls", "calls_per_s", 0.5, 8.0),
            ("tokens", "tokens_per_s", 2_000.0, 16.0),
            ("cost", "cost_usd_per_s", 0.02, 16.0),
        )
    )


def _of_applications() -> tuple[Detector, ...]:
    """Applications: models that they never called."""
    return (
        Habit(
            detector_id="new-model",
            on="event",
            entity="application",
            metrics=("model",),
            warning=40.0,
            warm_up_samples=500,
            warm_up_ms=30 * _MINUTE_MS,
            relearn_samples=500,
        ),
    )


def _of_models() -> tuple[Detector, ...]:
    """A model as an application uses it: sudden and slow changes, rare combinations, silence."""
    return (
        ZScore(
            detector_id="zscore-1s",
            on="1s",
            metrics=_TIMES,
            warning=8.0,
            critical=14.0,
            direction="high",
            volume_min=20,
            half_life=600,
            floor=0.1,
            consecutive=2,
            consecutive_critical=3,
            warm_up_samples=120,
        ),
        ErrorRate(
            detector_id="error-rate-1s",
            on="1s",
            warning=8.0,
            critical=16.0,
            volume_min=20,
            rate_least=0.1,
            warm_up_samples=60,
            consecutive=2,
            consecutive_critical=2,
        ),
        ZScore(
            detector_id="zscore-10s",
            on="10s",
            metrics=_WATCHED,
            warning=6.5,
            critical=12.0,
            direction="high",
            half_life=360,
            floor=0.1,
            consecutive_critical=2,
            warm_up_samples=60,
            warm_up_ms=10 * _MINUTE_MS,
        ),
        MovingAverage(
            detector_id="moving-average-10s",
            on="10s",
            metrics=_WATCHED,
            warning=5.0,
            critical=12.0,
            direction="high",
            half_life=720,
            floor=0.05,
            smoothing=0.1,
            warm_up_samples=90,
            warm_up_ms=15 * _MINUTE_MS,
        ),
        ErrorRate(
            detector_id="error-rate-10s",
            on="10s",
            warning=6.5,
            critical=12.0,
            rate_least=0.05,
            warm_up_samples=30,
            consecutive_critical=2,
        ),
        NoData(
            detector_id="no-data",
            on="10s",
            warning=40.0,
            critical=300.0,
            warm_up_samples=60,
            warm_up_ms=30 * _MINUTE_MS,
        ),
        RobustZScore(
            detector_id="robust-1m",
            on="1m",
            metrics=_WATCHED,
            warning=5.0,
            critical=12.0,
            direction="high",
            half_life=240,
            floor=0.07,
            consecutive_critical=2,
            warm_up_samples=60,
        ),
        Cusum(
            detector_id="cusum-1m",
            on="1m",
            metrics=_MEANS,
            warning=14.0,
            direction="high",
            half_life=480,
            floor=0.25,
            slack=1.0,
            warm_up_samples=60,
        ),
        MovingAverage(
            detector_id="seasonal-volume-1m",
            on="1m",
            metrics=("calls_per_s",),
            warning=2.5,
            half_life=2_880,
            floor=0.1,
            smoothing=0.3,
            season=True,
            consecutive=3,
            # Half a day, of which the first half teaches only the level.
            warm_up_samples=720,
            refractory_ms=10 * _MINUTE_MS,
        ),
        ErrorRate(
            detector_id="error-rate-1m",
            on="1m",
            warning=6.0,
            critical=14.0,
            rate_least=0.03,
            warm_up_samples=15,
            consecutive_critical=2,
        ),
        IsolationForest(
            detector_id="isolation-forest-1m",
            on="1m",
            metrics=_MEANS,
            warning=4.5,
            volume_min=5,
            warm_up_samples=15,
            warm_up_ms=15 * _MINUTE_MS,
            consecutive=2,
            refractory_ms=10 * _MINUTE_MS,
        ),
        Autoencoder(
            detector_id="autoencoder-1m",
            on="1m",
            metrics=_MEANS,
            warning=3.5,
            critical=6.0,
            volume_min=5,
            warm_up_samples=15,
            warm_up_ms=15 * _MINUTE_MS,
            consecutive=2,
            consecutive_critical=3,
            refractory_ms=10 * _MINUTE_MS,
        ),
        Hotelling(
            detector_id="joint-1m",
            on="1m",
            metrics=_MEANS,
            warning=3.5,
            critical=8.0,
            volume_min=5,
            warm_up_samples=45,
            consecutive=2,
            consecutive_critical=3,
            refractory_ms=10 * _MINUTE_MS,
        ),
    )


def _of_providers() -> tuple[Detector, ...]:
    """Providers: what all applications of a tenant, or of all tenants, have in common."""
    kinds: tuple[tuple[Literal["tenant_provider", "provider"], str, int], ...] = (
        ("tenant_provider", "tenant-provider", 10),
        ("provider", "provider", 20),
    )
    return tuple(
        ErrorRate(
            detector_id=f"{prefix}-error-rate-10s",
            on="10s",
            entity=entity,
            warning=6.5,
            critical=12.0,
            volume_min=volume_min,
            rate_least=0.05,
            warm_up_samples=30,
            consecutive_critical=2,
        )
        for entity, prefix, volume_min in kinds
    )
