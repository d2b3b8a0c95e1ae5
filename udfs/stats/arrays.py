"""Arrays: those of a published model, checked and as float64."""

from collections.abc import Sequence

import numpy as np

from schemas.model import PublishedModel
from udfs.kernels import Floats


def fitting(model: PublishedModel, kind: str, detector_id: str, metrics: Sequence[str]) -> None:
    """Raise ValueError unless a model is of the kind and for the metrics of a detector."""
    if model.kind != kind:
        raise ValueError(f"detector {detector_id!r} takes models of kind {kind}; {model.model_id!r} is of {model.kind}")
    if tuple(model.metrics) != tuple(metrics):
        wanted, given = ", ".join(metrics), ", ".join(model.metrics)
        raise ValueError(f"detector {detector_id!r} watches {wanted}; model {model.model_id!r} was fitted on {given}")


def unpack(model: PublishedModel, name: str) -> Floats:
    """Return one array of a model. Raises ValueError if it is missing or holds what is not finite."""
    packed = model.arrays.get(name)
    if packed is None:
        raise ValueError(f"model {model.model_id!r} has no array {name!r}; it has {', '.join(sorted(model.arrays))}")
    dtype = np.dtype(packed.dtype).newbyteorder("<")
    array = np.frombuffer(packed.values, dtype=dtype).reshape(packed.shape).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"model {model.model_id!r}: array {name!r} holds a value that is not finite")
    return array


def common_variances(model: PublishedModel) -> Floats:
    """Return the variance of a single call of all entities, by metric (`udfs.stats.recent`).

    Raises ValueError if it is missing, not one for each metric, or negative.
    """
    variance = unpack(model, "variance")
    if variance.shape != (len(model.metrics),) or (variance < 0).any():
        raise ValueError(f"model {model.model_id!r}: `variance` must be [metrics], none below 0")
    return variance
