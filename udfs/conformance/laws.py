"""Laws: what a detector promises to the driver and the driver to everyone, each checked on made-up observations.

A law takes a driver, holding a model if the detector needs one, and a seed; it raises BrokenLawError, with a sentence
about what was seen, if the detector does not keep it. Other exceptions come from the detector itself.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from schemas.anomaly import EntityType
from schemas.model import ModelScope, PublishedModel, Training
from schemas.time import from_at_ms
from udfs.conformance.observations import START_AT_MS, Observations, jump, warm
from udfs.decision import PREFIX_WIDTH
from udfs.detector import Detector
from udfs.driver import Driver
from udfs.flags import Flags
from udfs.kernels import Floats

ABSURD = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e18, 0.0, -5.0, 5e-324)
"""Values that no detector may stumble over."""
_SILENT_MS = 6 * 3_600_000
_JUMPED = 60
_CUTS = 5
_MISSING, _WILD = 0.05, 0.02
"""Shares of values that are missing, and a thousand times what they were."""
_OTHERS = 42.0
"""What stands in state that is not the detector's."""


class BrokenLawError(ValueError):
    """A detector does not keep a law; the message says what was seen."""


class Law(NamedTuple):
    """One law: what is promised, for which detectors, and the test of it."""

    promise: str
    forms: tuple[str, ...]
    check: Callable[[Driver, int], None]
    is_about_models: bool = False


def silent_while_warming_up(driver: Driver, seed: int) -> None:
    """However wild the values, nothing is told before the samples and the time have come."""
    detector = driver.detector
    wild = Observations(detector, max(detector.warm_up_samples - 1, 1), seed=seed, scatter=3.0)
    if told := len(run(driver, no_state(driver), wild)):
        raise BrokenLawError(
            f"{told} of the first {wild.count} observations were flagged; warm_up_samples were not there"
        )
    # Many samples in no time are no warm-up either.
    burst = Observations(detector, detector.warm_up_samples + 10, seed=seed, scatter=3.0)
    burst.at_ms = np.full(burst.count, START_AT_MS, dtype=np.int64)
    if detector.warm_up_ms and (told := len(run(driver, no_state(driver), burst))):
        raise BrokenLawError(f"{told} observations of one instant were flagged; warm_up_ms had not passed")


def the_same_however_batches_are_cut(driver: Driver, seed: int) -> None:
    """Bit for bit: flags and state, with missing values, wild values and two series."""
    detector = driver.detector
    observations = warm(detector, seed=seed)
    draw = np.random.default_rng(seed)
    observations.rows = draw.integers(0, 2, observations.count)
    observations.values[draw.random(observations.values.shape) < _MISSING] = np.nan
    observations.values[draw.random(observations.values.shape) < _WILD] *= 1_000
    if detector.on != "event":
        observations.volumes = draw.integers(1, 60, observations.count).astype(np.float64)
    once, parts = no_state(driver), no_state(driver)
    whole = run(driver, once, observations).table
    cuts = sorted({0, *draw.integers(1, observations.count, _CUTS).tolist(), observations.count})
    tables = []
    for start, end in pairwise(cuts):
        table = run(driver, parts, observations, start, end).table
        table[:, 0] += start
        tables.append(table)
    if not np.array_equal(np.concatenate(tables), whole, equal_nan=True):
        raise BrokenLawError(
            f"one batch flags {len(whole)} observations, cut at {cuts[1:-1]} it flags others or otherwise"
        )
    if not np.array_equal(once, parts, equal_nan=True):
        raise BrokenLawError(
            f"one batch leaves another state than the same cut at {cuts[1:-1]}; is all memory in `state`?"
        )


def state_is_as_wide_as_it_says(driver: Driver, seed: int) -> None:
    """A detector has the width it names, for each metric it judges by itself, and changes nothing beside it."""
    detector = driver.detector
    blocks = len(detector.metrics) if detector.form == "series" else 1
    if driver.width != blocks * (PREFIX_WIDTH + detector.state_width):
        raise BrokenLawError(f"state_width is {detector.state_width}, which is not the same whenever it is asked")
    observations = warm(detector, seed=seed)
    states = np.full((2, driver.width + 6), _OTHERS)
    states[:, 3:-3] = 0.0
    driver.run(states, 3, observations.rows, observations.at_ms, observations.values, observations.volumes)
    if not ((states[:, :3] == _OTHERS).all() and (states[:, -3:] == _OTHERS).all()):
        raise BrokenLawError("state of others was changed; no kernel may write beyond `state`")
    if not (states[1, 3:-3] == 0.0).all():
        raise BrokenLawError("the state of a series that was not observed was changed")


def no_value_crashes_or_poisons(driver: Driver, seed: int) -> None:
    """State and scores stay finite, whatever comes, before the warm-up and behind it."""
    for absurd in ABSURD:
        survives(driver, [absurd], seed)


def survives(driver: Driver, absurd: Sequence[float], seed: int) -> None:
    """Check that state and scores stay finite with these values among the first, the middle and the last ones."""
    observations = warm(driver.detector, seed=seed)
    for k, value in enumerate(absurd):
        for place in (k, observations.count // 2 + k, observations.count - 2 - k):
            observations.values[place % observations.count] = value
    states = no_state(driver)
    flags = run(driver, states, observations)
    among = ", ".join(f"{value:g}" for value in absurd)
    if not np.isfinite(states).all():
        raise BrokenLawError(f"the state is no longer finite after {among}; bound what `learn` and `adopt` keep")
    if not (np.isfinite(flags.raw_score).all() and (flags.raw_score >= 0).all()):
        raise BrokenLawError(f"a raw score is not finite after {among}")
    if not ((flags.score >= 0) & (flags.score <= 1)).all():
        raise BrokenLawError(f"a calibrated score lies outside 0 to 1 after {among}; `surprise` must be a number")


def missing_values_are_not_learnt(driver: Driver, seed: int) -> None:
    """Observations without values leave all state as it is."""
    observations = warm(driver.detector, seed=seed)
    states = no_state(driver)
    run(driver, states, observations)
    before = states.copy()
    nothing = Observations(driver.detector, 20)
    nothing.values[:] = np.nan
    nothing.at_ms += observations.end_at_ms - START_AT_MS
    run(driver, states, nothing)
    if not np.array_equal(states, before):
        raise BrokenLawError("observations without any value changed the state")


def a_jump_from_a_constant_baseline_is_found(driver: Driver, seed: int) -> None:  # noqa: ARG001 - nothing is drawn
    """A baseline without any scatter has a floor as deviation, not a division by zero."""
    detector = driver.detector
    calm = warm(detector, scatter=0.0)
    states = no_state(driver)
    if told := len(run(driver, states, calm)):
        raise BrokenLawError(f"{told} of {calm.count} equal observations were flagged")
    if detector.form == "silence":
        flags = driver.silences(states, 0, 1, calm.end_at_ms + _SILENT_MS)
    else:
        flags = run(driver, states, jump(detector, _JUMPED, calm.end_at_ms))
    if not len(flags):
        what = "six hours of silence" if detector.form == "silence" else "a thousandfold rise of every metric"
        raise BrokenLawError(f"after {calm.count} equal observations {what} was not flagged")


def an_anomaly_leaves_the_baseline_alone(driver: Driver, seed: int) -> None:
    """With weight 0, ordinary values are afterwards expected where they were expected before."""
    detector = driver.detector
    kernels = detector.kernels
    state, at_ms = _learnt(driver, seed)
    parameters: Any = detector.parameters()
    before = _expected(driver, state, at_ms)[0]
    for k in range(1, 6):
        kernels.learn(state, 1e6, 30.0, at_ms + k, parameters, 0.0)
    after = _expected(driver, state, at_ms)[0]
    if after != before:
        raise BrokenLawError(f"`learn` with weight 0 moved what is expected from {before:g} to {after:g}")


def scoring_changes_nothing(driver: Driver, seed: int) -> None:
    """`score` and `expect` only read the state, and `score` answers the same twice."""
    detector = driver.detector
    kernels = detector.kernels
    state, at_ms = _learnt(driver, seed)
    parameters: Any = detector.parameters()
    before = state.copy()
    scores = [kernels.score(state, 1e3, 30.0, at_ms + 1, parameters) for _ in range(2)]
    _expected(driver, state, at_ms)
    if not np.array_equal(state, before):
        raise BrokenLawError("`score` or `expect` changed the state; only `learn` and `adopt` may")
    if scores[0] != scores[1]:
        raise BrokenLawError(f"`score` of one value was {scores[0]:g} and then {scores[1]:g}")


def the_rarer_the_more_surprising(driver: Driver, seed: int) -> None:  # noqa: ARG001 - nothing is drawn
    """`surprise` is a number and does not fall when the raw score rises; what comes with a model is not asked."""
    detector = driver.detector
    if detector.needs_model:
        return
    parameters: Any = detector.parameters()
    raw = np.concatenate([[0.0], np.geomspace(1e-3, 1e6, 200)])
    surprises = np.array([detector.kernels.surprise(float(each), parameters) for each in raw])
    if np.isnan(surprises).any():
        raise BrokenLawError(f"`surprise` of a raw score of {raw[np.isnan(surprises)][0]:g} is not a number")
    falls = np.flatnonzero(np.diff(surprises) < 0.0)
    if len(falls):
        raise BrokenLawError(f"`surprise` falls when the raw score rises beyond {raw[falls[0]]:g}")


def silent_and_stateless_without_a_model(driver: Driver, seed: int) -> None:
    """A detector that needs a model tells nothing and learns nothing before it has one."""
    if not driver.detector.needs_model:
        return
    observations = warm(driver.detector, seed=seed)
    without = Driver(driver.detector, observations.names)
    states = no_state(without)
    if len(run(without, states, observations)) or states.any():
        raise BrokenLawError("it flags or learns without a model")


def a_model_that_does_not_fit_is_refused(driver: Driver, seed: int) -> None:
    """Without arrays, or for other metrics, a model is refused with a ValueError, and what holds goes on."""
    observations = warm(driver.detector, seed=seed)
    before = run(driver, no_state(driver), observations).table
    for metrics in (driver.detector.metrics, ("of_nothing_known",)):
        try:
            driver.publish(_empty_model(driver.detector, metrics))
        except ValueError:
            continue
        raise BrokenLawError("a model without arrays was accepted; `model_parameters` must raise ValueError")
    if not np.array_equal(run(driver, no_state(driver), observations).table, before, equal_nan=True):
        raise BrokenLawError("a model that was refused changed what is flagged")


_ALL = ("series", "vector", "silence")
LAWS = (
    Law("silent while warming up", _ALL, silent_while_warming_up),
    Law("the same however batches are cut", _ALL, the_same_however_batches_are_cut),
    Law("state is as wide as it says", _ALL, state_is_as_wide_as_it_says),
    Law("no value crashes or poisons", _ALL, no_value_crashes_or_poisons),
    Law("missing values are not learnt", ("series", "vector"), missing_values_are_not_learnt),
    Law("a jump from a constant baseline is found", _ALL, a_jump_from_a_constant_baseline_is_found),
    Law("an anomaly leaves the baseline alone", ("series",), an_anomaly_leaves_the_baseline_alone),
    Law("scoring changes nothing", ("series",), scoring_changes_nothing),
    Law("the rarer the more surprising", _ALL, the_rarer_the_more_surprising),
    Law("silent and stateless without a model", _ALL, silent_and_stateless_without_a_model, is_about_models=True),
    Law("a model that does not fit is refused", _ALL, a_model_that_does_not_fit_is_refused, is_about_models=True),
)
"""Every law, in the order of telling."""


def no_state(driver: Driver) -> Floats:
    """Return the state of two series of which nothing is known."""
    return np.zeros((2, driver.width))


def run(driver: Driver, states: Floats, observations: Observations, start: int = 0, end: int | None = None) -> Flags:
    """Run a part of the observations."""
    part = slice(start, observations.count if end is None else end)
    return driver.run(
        states,
        0,
        observations.rows[part],
        observations.at_ms[part],
        observations.values[part],
        observations.volumes[part],
    )


def _learnt(driver: Driver, seed: int) -> tuple[Floats, int]:
    """Return the kernels' state of the first metric after ordinary observations, and the time of the last."""
    observations = warm(driver.detector, seed=seed)
    states = no_state(driver)
    run(driver, states, observations)
    width = driver.detector.state_width
    return states[0, PREFIX_WIDTH : PREFIX_WIDTH + width].copy(), observations.end_at_ms


def _expected(driver: Driver, state: Floats, at_ms: int) -> tuple[float, float, float]:
    detector = driver.detector
    if detector.kernels.expect is None:
        raise BrokenLawError("a detector whose form is 'series' needs the kernel `expect`")
    expected: tuple[float, float, float] = detector.kernels.expect(state, 30.0, at_ms, detector.parameters(), 3.0)
    return expected


def _empty_model(detector: Detector, metrics: tuple[str, ...]) -> PublishedModel:
    return PublishedModel(
        model_id="empty",
        detector_id=detector.detector_id,
        kind="isolation_forest",
        version="1",
        trained_at=from_at_ms(START_AT_MS),
        effective_at_ms=START_AT_MS,
        scope=ModelScope(entity=EntityType(detector.entity)),
        metrics=metrics,
        arrays={},
        training=Training(samples=1, from_at_ms=START_AT_MS, to_at_ms=START_AT_MS),
    )
