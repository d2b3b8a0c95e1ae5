"""Sequence models side by side: does foretelling the next minute help to find small changes?

    uv pip install --target LIBRARIES --no-deps jax jaxlib ml_dtypes opt_einsum
    PYTHONPATH=LIBRARIES python -m tests.quality.sequence_models

prints the table of docs/decisions/0012-no-sequence-model.md in about five minutes; JAX is no dependency of the project.
All forecasters are given the last windows less their mean, in standard deviations of what is to be foretold. What they
are off by is judged alike: by each entity's own scatter, and the correlations of the errors.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from sklearn.linear_model import Ridge

from jobs.backtest.telemetry import backtest
from jobs.demo.scene import Scene
from jobs.replay.truth import PlantedFault
from jobs.training.windows import join
from schemas.anomaly import EntityType
from tests.quality.page import table
from tests.quality.traffic import SMALL_MS, TRAINED_SEED, clean_scene, small_scene
from udfs.detector import resolutions
from udfs.detectors.defaults import default_detectors
from udfs.detectors.hotelling import Hotelling
from udfs.entity import entity_of, model_key
from udfs.kernels import Floats, Integers
from udfs.settings import DetectionSettings

SEEDS: Final = range(111, 119)
HELD_OUT_SEEDS: Final = (TRAINED_SEED + 1, TRAINED_SEED + 2)
DEPTH: Final = 8
"""Windows that a forecast looks back on."""
PENALTY: Final = 10.0
"""Of the squares of the autoregression's coefficients."""
EPOCHS, BATCH, STEP = 30, 64, 3e-3
BEYOND: Final = 0.9995
"""Share of healthy windows that are nearer to their forecast than a fault has to be."""
FIRST_WINDOWS: Final = 3
"""A fault is seen by two of its first whole minutes."""
WARM_UP: Final = 60
NEWEST: Final = 0.01
[DETECTOR] = [each for each in default_detectors() if isinstance(each, Hotelling)]


Forecast = Callable[[Floats], Floats]
"""From the last windows less their mean, float64[n, depth, metrics], to the next less that, float64[n, metrics]."""


class Course(NamedTuple):
    """The windows of one entity that have enough others before them."""

    entity: str
    ends_at_ms: Integers
    past: Floats
    """float64[n, depth, metrics], the windows before, the oldest first."""
    mean: Floats
    """float64[n, metrics], their mean."""
    values: Floats
    """float64[n, metrics]."""


def main() -> None:
    """Print the table."""
    healthy = courses(clean_scene(TRAINED_SEED, SMALL_MS))
    held_out = [each for seed in HELD_OUT_SEEDS for each in courses(clean_scene(seed, SMALL_MS))]
    faulty = [(scene.planted, courses(scene)) for scene in map(small_scene, SEEDS)]
    past = np.concatenate([each.past - each.mean[:, None] for each in healthy])
    step = np.concatenate([each.values - each.mean for each in healthy])
    unit = np.maximum(step.std(axis=0), DETECTOR.floor)
    rows = []
    for name, fit in (
        ("the mean of the last eight", lambda *_: lambda past: np.zeros(past[:, 0].shape)),
        ("vector autoregression", linear),
        ("LSTM of 16 units", partial(lstm, units=16)),
        ("LSTM of 64 units", partial(lstm, units=64)),
    ):
        begun = time.perf_counter()
        standardised = fit(past / unit, step / unit)
        took_s = time.perf_counter() - begun

        def forecast(given: Floats, standardised: Forecast = standardised) -> Floats:
            return standardised(given / unit) * unit

        precision = np.linalg.inv(
            shrunk_correlations(np.concatenate([errors(each, forecast)[WARM_UP:] for each in healthy]))
        )
        off = np.concatenate([distances(each, forecast, precision)[WARM_UP:] for each in held_out])
        error = np.concatenate([off_by(each, forecast) / unit for each in held_out])
        threshold = float(np.quantile(off, BEYOND))
        seen = [is_seen(fault, given, forecast, precision, threshold) for fault, given in _each(faulty)]
        rows.append((name, f"{np.sqrt(np.mean(error**2)):.3f}", f"{sum(seen)} of {len(seen)}", f"{took_s:.1f} s"))
        sys.stderr.write(f"{rows[-1]}\n")
    head = ("forecast of the next minute", "error when all is well", "small changes seen", "fitted in")
    sys.stdout.write(table(head, rows))


def courses(scene: Scene) -> list[Course]:
    """Return the windows of a scene by entity, those without a missing metric, on the logarithmic scale."""
    result = backtest((each.value for each in scene.records(partitions=1)), DetectionSettings())
    windows = join(result.summaries, DETECTOR)
    found = []
    for entity, rows in windows.by_entity():
        whole = ~np.isnan(windows.vectors[rows]).any(axis=1)
        if whole.sum() <= WARM_UP + DEPTH:
            continue
        ends = windows.ends_at_ms[rows][whole]
        scaled = np.log1p(windows.vectors[rows][whole] / resolutions(DETECTOR.metrics))
        past = np.lib.stride_tricks.sliding_window_view(scaled[:-1], DEPTH, axis=0).transpose(0, 2, 1)
        found.append(Course(entity, ends[DEPTH:], past, past.mean(axis=1), scaled[DEPTH:]))
    return found


def off_by(course: Course, forecast: Forecast) -> Floats:
    """Return how far off a forecast is, float64[n, metrics]."""
    return course.values - course.mean - forecast(course.past - course.mean[:, None])


def errors(course: Course, forecast: Forecast) -> Floats:
    """Return how far off a forecast is, by the entity's own scatter up to then."""
    off = off_by(course, forecast)
    variance, found = off[:20].var(axis=0), np.empty(off.shape)
    for row, each in enumerate(off):
        found[row] = each / np.sqrt(variance + DETECTOR.floor**2)
        variance += NEWEST * (np.minimum(each**2, 9.0 * variance) - variance)
    return np.clip(found, -20.0, 20.0)


def shrunk_correlations(off: Floats) -> Floats:
    """Return the correlations of errors, drawn towards none as the detector does."""
    shrunk = (1.0 - DETECTOR.shrinkage) * np.corrcoef(off, rowvar=False)
    np.fill_diagonal(shrunk, 1.0)
    return np.asarray(shrunk)


def distances(course: Course, forecast: Forecast, precision: Floats) -> Floats:
    """Return the Mahalanobis distance of each window from its forecast."""
    off = errors(course, forecast)
    return np.sqrt(np.einsum("ni,ij,nj->n", off, precision, off))


def is_seen(fault: PlantedFault, given: list[Course], forecast: Forecast, precision: Floats, threshold: float) -> bool:
    """Return whether two of the first minutes of a fault are beyond the threshold."""
    scope = fault.scope
    key = model_key(scope.provider, scope.model, scope.tenant_id, scope.application_id)
    [course] = [each for each in given if each.entity == entity_of(EntityType.MODEL, key).id]
    first = fault.start_at_ms + 2 * 60_000
    rows = np.flatnonzero((course.ends_at_ms >= first) & (course.ends_at_ms < first + FIRST_WINDOWS * 60_000))
    # What is anomalous is not learnt: the past of all of them is that of the last minute before.
    before = np.flatnonzero(course.ends_at_ms <= fault.start_at_ms)[-1]
    past, mean = course.past.copy(), course.mean.copy()
    past[rows], mean[rows] = past[before], mean[before]
    frozen = course._replace(past=past, mean=mean)
    return int((distances(frozen, forecast, precision)[rows] > threshold).sum()) > 1


def _each(faulty: list[tuple[tuple[PlantedFault, ...], list[Course]]]) -> Iterator[tuple[PlantedFault, list[Course]]]:
    for planted, given in faulty:
        for fault in planted:
            yield fault, given


def linear(past: Floats, step: Floats) -> Forecast:
    """Return the forecast of a vector autoregression (Lütkepohl 2005, New introduction to multiple time series)."""
    ridge = Ridge(alpha=PENALTY, fit_intercept=False).fit(past.reshape(len(past), -1), step)
    return lambda given: np.asarray(ridge.predict(given.reshape(len(given), -1)))


def lstm(past: Floats, step: Floats, units: int) -> Forecast:
    """Return the forecast of an LSTM (Hochreiter and Schmidhuber 1997) with a linear layer behind, fitted by Adam."""
    import jax  # noqa: PLC0415 - for this comparison only
    import jax.numpy as jnp  # noqa: PLC0415

    metrics, draw = step.shape[1], np.random.default_rng(1)
    weights: dict[str, Any] = {
        "gates": jnp.asarray(draw.standard_normal((metrics + units, 4 * units)) / np.sqrt(metrics + units)),
        "bias": jnp.zeros(4 * units),
        "out": jnp.asarray(0.1 * draw.standard_normal((units, metrics)) / np.sqrt(units)),
    }

    def forecast(weights: dict[str, Any], past: Any) -> Any:
        hidden, cell = jnp.zeros((len(past), units)), jnp.zeros((len(past), units))
        for window in range(past.shape[1]):
            both = jnp.concatenate([past[:, window], hidden], axis=1)
            into, forget, out, new = jnp.split(both @ weights["gates"] + weights["bias"], 4, axis=1)
            cell = jax.nn.sigmoid(forget + 1.0) * cell + jax.nn.sigmoid(into) * jnp.tanh(new)
            hidden = jax.nn.sigmoid(out) * jnp.tanh(cell)
        return hidden @ weights["out"]

    def loss(weights: dict[str, Any], past: Any, step: Any) -> Any:
        off = jnp.abs(forecast(weights, past) - step)
        # Huber's loss: what is far out does not decide.
        return jnp.mean(jnp.where(off < 1.0, 0.5 * off**2, off - 0.5))

    @jax.jit
    def improved(weights: Any, mean: Any, square: Any, turn: Any, past: Any, step: Any) -> Any:
        slope = jax.grad(loss)(weights, past, step)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, slope)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, slope)

        def moved(weight: Any, m: Any, s: Any) -> Any:
            return weight - STEP * (m / (1 - 0.9**turn)) / (jnp.sqrt(s / (1 - 0.999**turn)) + 1e-8)

        return jax.tree.map(moved, weights, mean, square), mean, square

    # The last quarter says when to stop.
    learnt = np.arange(len(past)) % 4 < 3
    mean = square = jax.tree.map(jnp.zeros_like, weights)
    best, best_loss, turn = weights, np.inf, 0
    for _ in range(EPOCHS):
        order = draw.permutation(np.flatnonzero(learnt))
        for start in range(0, len(order) - BATCH, BATCH):
            rows, turn = order[start : start + BATCH], turn + 1
            weights, mean, square = improved(weights, mean, square, turn, past[rows], step[rows])
        now = float(loss(weights, past[~learnt], step[~learnt]))
        if now < best_loss:
            best, best_loss = weights, now
    return lambda given: np.asarray(forecast(best, given), dtype=np.float64)


if __name__ == "__main__":
    main()
