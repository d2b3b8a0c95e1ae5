"""Fit: from windows to a model that the running job takes."""

from collections.abc import Callable
from hashlib import sha256
from typing import Literal

import numpy as np

from jobs.errors import SentinelError
from jobs.training import forest, network
from jobs.training.fitted import Fitted
from jobs.training.recent import common_variance, deviations_of
from jobs.training.windows import Windows
from schemas.anomaly import EntityType
from schemas.model import ItemType, ModelScope, PackedArray, PublishedModel, Training
from schemas.time import from_at_ms
from udfs.detector import Detector
from udfs.detectors.autoencoder import Autoencoder
from udfs.detectors.isolation_forest import IsolationForest
from udfs.kernels import Floats

WINDOWS_MIN = 1_000
"""Fewer say too little about what happens once in hundreds of windows."""
_PARTS = 4
"""One part of so many calibrates the scores and is not fitted on."""
_PROBABILITIES = (0.0, 0.25, 0.5, 0.75, *(1.0 - 10.0 ** -(quarter / 4) for quarter in range(4, 21)))
_COMPACT: dict[str, ItemType] = {
    "feature": "int16",
    "left": "int16",
    "right": "int16",
    "threshold": "float32",
    "path": "float32",
}
"""Types in place of float64, for the arrays that make a forest large."""

Kind = Literal["isolation_forest", "autoencoder"]
_FITS: dict[type[Detector], tuple[Kind, Callable[[Floats, int], Fitted]]] = {
    IsolationForest: ("isolation_forest", forest.fit),
    Autoencoder: ("autoencoder", network.fit),
}


def fit(windows: Windows, detector: Detector, *, seed: int, now_ms: int) -> PublishedModel:
    """Return a model for the detector, effective from the first event on; the same windows and seed give the same one.

    Three quarters of the windows are fitted on, drawn by the seed; the raw scores of the last quarter calibrate.
    Raises SentinelError if the detector takes no model, there are too few windows, or they are all alike.
    """
    if type(detector) not in _FITS:
        problem = f"detector {detector.detector_id!r} needs no model: {detector.method or 'it learns in the job'}"
        raise SentinelError(problem)
    variance = common_variance(windows, detector)
    deviations = deviations_of(windows, detector, variance)
    count = len(deviations)
    if count < WINDOWS_MIN:
        problem = (
            f"detector {detector.detector_id!r}: {count} windows of {detector.on} with at least "
            f"{detector.volume_min:g} calls, after the first {detector.warm_up_samples} of each "
            f"{detector.entity}, are too few to train on; {WINDOWS_MIN} are needed"
        )
        raise SentinelError(problem)
    if not deviations.any():
        problem = f"detector {detector.detector_id!r}: all {count} windows are alike; there is nothing to learn"
        raise SentinelError(problem)
    order = np.random.default_rng(seed).permutation(count)
    held_out, fitted_on = order[: count // _PARTS], order[count // _PARTS :]
    kind, fit_arrays = _FITS[type(detector)]
    fitted = fit_arrays(deviations[fitted_on], seed)
    arrays = fitted.arrays | {"variance": variance}
    packed = {name: _packed(array, _COMPACT.get(name, "float64")) for name, array in arrays.items()}
    version = sha256(b"".join(name.encode() + packed[name].values for name in sorted(packed))).hexdigest()[:12]
    return PublishedModel(
        model_id=f"{detector.detector_id}-{version}",
        detector_id=detector.detector_id,
        kind=kind,
        version=version,
        trained_at=from_at_ms(now_ms),
        effective_at_ms=0,
        scope=ModelScope(entity=EntityType(detector.entity)),
        metrics=detector.metrics,
        arrays=packed,
        training=Training(
            samples=count,
            from_at_ms=int(windows.ends_at_ms.min()),
            to_at_ms=int(windows.ends_at_ms.max()),
            score_quantiles=_quantiles(fitted.scores(deviations[held_out])),
        ),
    )


def _quantiles(scores: Floats) -> tuple[tuple[float, float], ...]:
    """Return (probability, score) as far as so many scores can tell them."""
    known = [each for each in _PROBABILITIES if each <= 1.0 - 1.0 / len(scores)]
    return tuple(zip(known, np.quantile(scores, known).tolist(), strict=True))


def _packed(array: Floats, dtype: ItemType) -> PackedArray:
    values = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<"))
    return PackedArray(shape=values.shape, dtype=dtype, values=values.tobytes())
