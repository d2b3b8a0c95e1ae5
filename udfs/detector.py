"""Detector: the contract between a detector, which says how unusual something is, and the driver, which decides.

A detector is a frozen struct of parameters, decoded from YAML or JSON by its tag `type`, and four or five kernels. It
holds no state: the driver (`udfs.driver`) gives its kernels a block of `state_width` floats for each series, zeros at
first, which only they interpret. How often is asked, whether to tell, and when to learn is the driver's business.

Kernels of a detector with `form = "series"`; x is finite, in units of the metric's `RESOLUTION`:

    score(state, x, volume, at_ms, parameters) -> float
        How unusual x is, in the detector's own unit: positive above, negative below what was expected. Pure.
    expect(state, volume, at_ms, parameters, reach) -> (expected, low, high)
        The range of x within which the magnitude of the score stays below `reach`. Pure.
    learn(state, x, volume, at_ms, parameters, weight) -> None
        Takes x into the state. `weight` 0 (x was found anomalous) must leave the baseline as it is; evidence that adds
        up over observations, such as a cumulative sum, is carried on.
    adopt(state, x, volume, at_ms, parameters) -> float
        Takes x as the new normal after a lasting change of level; returns how many samples the baseline now rests on.
    surprise(raw_score, parameters) -> float
        The score as minus the decimal logarithm of the probability to see one as large when all is well.

`volume` is how many calls x sums up (1 for a call). `form = "vector"`: x is a vector of all metrics, NaN where missing;
`score` has a last argument float64[metrics] to write each metric's share of the score to, and is never negative; there
is no `expect`. `form = "silence"`: `score` gets, as x, the ms since the last observation; `expect` is of the rate per
ms; `learn` is called for each observation.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from msgspec import Meta, Struct

from schemas.anomaly import DetectorType
from schemas.model import PublishedModel
from udfs.kernels import Floats

Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Duration = Annotated[int, Meta(ge=0)]
Identifier = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]

Kernel = Callable[..., Any]

RESOLUTION = {
    "cost_usd": 1e-6,
    "cost_usd_mean": 1e-6,
    "cost_usd_per_s": 1e-6,
    "calls_per_s": 1e-2,
    "latency_ms_per_token": 0.1,
}
"""The least difference of a metric that matters, where it is not 1: below it, a logarithmic scale becomes linear."""


STEP_MS = {"event": 1_000, "1s": 1_000, "10s": 10_000, "1m": 60_000}
"""From one observation to the next, by what is observed: windows' length, and how finely calls are dated."""


class Kernels(NamedTuple):
    """The functions of one type of detector."""

    score: Kernel
    learn: Kernel
    adopt: Kernel
    surprise: Kernel
    expect: Kernel | None = None


class Detector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every detector has. Times are event time in milliseconds."""

    detector_id: Identifier
    """Stable: part of the state's layout, of anomaly ids, and a label of metrics."""
    on: Literal["event", "1s", "10s", "1m"]
    """What is observed: every call, or windows of one length."""
    entity: Literal["model", "user", "application", "tenant_provider", "provider"] = "model"
    """Whose baseline it is: a model as an application uses it, a user, a whole application, or a provider as a tenant
    or all use it."""
    metrics: Annotated[tuple[str, ...], Meta(min_length=1)]
    """What is judged; `udfs.aggregates.OBSERVED` has the names by `on` and `entity`."""
    warning: Positive
    """Raw score from which an observation is anomalous."""
    critical: Positive | None = None
    """Raw score from which an anomaly is critical; None means never."""
    false_alarms_per_week: Positive | None = None
    """Accepted false alarms of each series: beyond `warning`, it must also be so rare by the series' own past."""
    direction: Literal["high", "low", "both"] = "both"
    """Which side is told of. The other is kept out of the baseline all the same."""
    volume_min: Annotated[float, Meta(ge=1)] = 1.0
    """Calls a window must hold to be scored and learnt."""
    warm_up_samples: Count = 30
    """A series is scored when it has been learnt from this many times, over at least `warm_up_ms`."""
    warm_up_ms: Duration = 300_000
    """Least time over which a series has been seen before it is scored."""
    consecutive: Count = 1
    """Anomalous observations before a warning; one that is not takes one back."""
    consecutive_critical: Count = 1
    """Anomalous observations before an anomaly may be critical."""
    refractory_ms: Duration = 60_000
    """While an anomaly lasts it is told of when it begins, when it becomes more severe, and else once in this time.

    When it has lasted for ten times as long, it is told of once in four times as long."""
    relearn_samples: Count = 60
    """A level that was anomalous in so many observations, over at least `relearn_ms`, is the new normal."""
    relearn_ms: Duration = 1_800_000
    """Least time that a new level has lasted before it is the new normal."""
    forget_ms: Annotated[int, Meta(ge=1)] = 14 * 86_400_000
    """A series not seen for this long begins again."""

    form: ClassVar[Literal["series", "vector", "silence"]] = "series"
    detector_type: ClassVar[DetectorType] = DetectorType.STATISTICAL
    version: ClassVar[str] = "1"
    method: ClassVar[str] = ""
    """What it does, in a few words for the reader of an anomaly."""
    unit: ClassVar[str] = "standard deviations"
    """Unit of the raw score."""
    state_version: ClassVar[int] = 1
    """Raised when state no longer means the same: the driver then begins anew instead of misreading it."""
    needs_model: ClassVar[bool] = False
    """Whether the parameters come from a published model."""
    kernels: ClassVar[Kernels]

    @property
    def state_width(self) -> int:
        """Floats of state that the kernels need for each series (for each entity, if `form` is "vector")."""
        raise NotImplementedError

    def parameters(self) -> Floats:
        """Return what the kernels take as `parameters`."""
        raise NotImplementedError

    def model_parameters(self, model: PublishedModel) -> Floats:
        """Return what the kernels take as `parameters` with a published model. Raises ValueError if it does not fit."""
        raise ValueError(f"detector {self.detector_id!r} takes no model; it was sent {model.model_id!r}")


def half_life_weight(half_life: float) -> float:
    """Return the weight of the newest observation with which one counts half after `half_life` more of them."""
    return float(1.0 - 0.5 ** (1.0 / half_life))


def resolutions(metrics: tuple[str, ...]) -> Floats:
    """Return the resolution of each metric."""
    return np.array([RESOLUTION.get(metric, 1.0) for metric in metrics])
