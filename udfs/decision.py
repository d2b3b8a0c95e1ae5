"""Decision: from deviations to what is told, the same for all detectors.

Every series of every detector has a header before its state, float64[HEADER_WIDTH]. Everything here is a function of
that header and of one observation, in event time, so that it does not matter how observations are cut into batches.
"""

import math

import numpy as np

from udfs.detector import Detector
from udfs.kernels import Floats, kernel
from udfs.stats.peaks import FROM_DECADES, PEAKS_WIDTH

HEADER_VERSION = 3
HEADER_WIDTH = 7
SAMPLES, FIRST_AT, LAST_AT, RUN, RUN_SINCE, TOLD_AT, TOLD_RANK = range(HEADER_WIDTH)
"""Observations the baseline rests on; when the first and the newest were; anomalous ones in a row and since when; when
something was last told and how severe it was (1 warning, 2 critical, 0 never)."""
PREFIX_WIDTH = HEADER_WIDTH + PEAKS_WIDTH
"""What stands before the state of a detector: the header, then `udfs.stats.peaks`, which is left where it is."""

(
    _WARNING,
    _CRITICAL,
    _SIDE,
    _VOLUME_MIN,
    _WARM_UP_SAMPLES,
    _WARM_UP_MS,
    _CONSECUTIVE,
    _CONSECUTIVE_CRITICAL,
    _REFRACTORY_MS,
    _RELEARN_SAMPLES,
    _RELEARN_MS,
    _FORGET_MS,
    _FAR,
    _ACCEPTED,
) = range(14)

WARNING_RANK, CRITICAL_RANK = 1, 2
QUIET, OPENED, RAISED, CONTINUED = range(4)
"""Why something is told, or that it is not: an anomaly begins, becomes more severe, lasts."""

WEEK_MS = 7.0 * 86_400_000.0
_LARGEST_SCORE, _HALVINGS = 1e9, 60
_LASTING, _SELDOM = 10.0, 4.0
"""An anomaly that has lasted for so many refractory times is told of only once in so many."""


def policy_of(detector: Detector) -> Floats:
    """Return a detector's part of the decision as the kernels take it."""
    return np.array(
        [
            detector.warning,
            np.inf if detector.critical is None else detector.critical,
            {"both": 0, "high": 1, "low": -1}[detector.direction],
            detector.volume_min,
            detector.warm_up_samples,
            detector.warm_up_ms,
            detector.consecutive,
            max(detector.consecutive, detector.consecutive_critical),
            detector.refractory_ms,
            detector.relearn_samples,
            detector.relearn_ms,
            detector.forget_ms,
            _far_score(detector),
            detector.false_alarms_per_week or np.inf,
        ],
        dtype=np.float64,
    )


def _far_score(detector: Detector) -> float:
    """Return the raw score that is as improbable as FROM_DECADES by the detector's own law."""
    if detector.form == "silence":
        return float("inf")
    if detector.needs_model:
        # Its parameters come later; raw scores are decades.
        return FROM_DECADES
    parameters, surprise = detector.parameters(), detector.kernels.surprise
    low, high = 0.0, 1.0
    while surprise(high, parameters) < FROM_DECADES and high < _LARGEST_SCORE:
        low, high = high, 2.0 * high
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if surprise(middle, parameters) >= FROM_DECADES else (middle, high)
    return high


@kernel
def told_size(deviation: float, policy: Floats) -> float:
    """Return how far out a deviation is, 0 on a side that is not told of."""
    return abs(deviation) if deviation * policy[_SIDE] >= 0.0 else 0.0


@kernel
def law_reach(policy: Floats) -> float:
    """Return the deviation that is as far out as one in a hundred should be by the detector's law."""
    return policy[_FAR]


@kernel
def is_particular(policy: Floats) -> bool:
    """Return whether false alarms are accepted at a certain rate only."""
    return policy[_ACCEPTED] < np.inf


@kernel
def is_rare(header: Floats, decades: float, policy: Floats) -> bool:
    """Return whether what is so improbable for its series comes less often than false alarms are accepted."""
    lasted_ms = header[LAST_AT] - header[FIRST_AT]
    if lasted_ms <= 0.0:
        return True
    return decades >= math.log10(header[SAMPLES] * WEEK_MS / lasted_ms / policy[_ACCEPTED])


@kernel
def is_heavy_enough(volume: float, policy: Floats) -> bool:
    """Return whether an observation sums up enough calls to be scored and learnt."""
    return volume >= policy[_VOLUME_MIN]


@kernel
def is_forgotten(header: Floats, at_ms: int, policy: Floats) -> bool:
    """Return whether a series has not been seen for so long that it begins again."""
    return header[LAST_AT] > 0.0 and at_ms - header[LAST_AT] > policy[_FORGET_MS]


@kernel
def is_warm(header: Floats, at_ms: int, policy: Floats) -> bool:
    """Return whether enough is known: samples alone are not, ten thousand calls of one second say nothing of a day."""
    return header[SAMPLES] >= policy[_WARM_UP_SAMPLES] and at_ms - header[FIRST_AT] >= policy[_WARM_UP_MS]


@kernel
def is_anomalous(deviation: float, policy: Floats) -> bool:
    """Return whether a deviation, to either side, is one that must not move the baseline."""
    return abs(deviation) >= policy[_WARNING]


@kernel
def reach_of(policy: Floats) -> float:
    """Return the deviation at which the expected range ends."""
    return policy[_WARNING]


@kernel
def threshold_of(rank: int, policy: Floats) -> float:
    """Return the deviation from which an anomaly has this rank."""
    return policy[_CRITICAL] if rank == CRITICAL_RANK else policy[_WARNING]


@kernel
def is_new_level(header: Floats, at_ms: int, policy: Floats) -> bool:
    """Return whether what was anomalous has lasted long enough to be the new normal."""
    return header[RUN] >= policy[_RELEARN_SAMPLES] and at_ms - header[RUN_SINCE] >= policy[_RELEARN_MS]


@kernel
def count_run(header: Floats, at_ms: int, anomalous: bool) -> None:  # noqa: FBT001 kernels are called by position
    """Count anomalous observations in a row; an ordinary one takes one back, so that noise does not hide a change."""
    if anomalous:
        if header[RUN] == 0.0:
            header[RUN_SINCE] = at_ms
        header[RUN] += 1.0
    elif header[RUN] > 0.0:
        header[RUN] -= 1.0


@kernel
def rank_of(header: Floats, deviation: float, policy: Floats) -> float:
    """Return how severe a deviation is after this run: 0 not at all, 1 warning, 2 critical."""
    if deviation * policy[_SIDE] < 0.0:
        return 0.0
    size = abs(deviation)
    if size >= policy[_CRITICAL] and header[RUN] >= policy[_CONSECUTIVE_CRITICAL]:
        return 2.0
    if size >= policy[_WARNING] and header[RUN] >= policy[_CONSECUTIVE]:
        return 1.0
    return 0.0


@kernel
def tell(header: Floats, at_ms: int, rank: float, policy: Floats) -> int:
    """Return whether and why to tell of an anomaly now, and note that it was told."""
    if rank == 0.0:
        return QUIET
    since = at_ms - header[TOLD_AT]
    refractory_ms = policy[_REFRACTORY_MS]
    if at_ms - header[RUN_SINCE] > _LASTING * refractory_ms:
        refractory_ms *= _SELDOM
    within = header[TOLD_RANK] > 0.0 and since < refractory_ms
    if within and rank <= header[TOLD_RANK]:
        return QUIET
    reason = OPENED
    if within:
        reason = RAISED
    elif header[TOLD_RANK] > 0.0 and since < 2.0 * refractory_ms:
        reason = CONTINUED
    header[TOLD_AT] = max(header[TOLD_AT], float(at_ms))
    header[TOLD_RANK] = rank
    return reason


@kernel
def note(header: Floats, at_ms: int, learnt: bool) -> None:  # noqa: FBT001 kernels are called by position
    """Note that a series was observed, and whether its baseline now rests on one more sample."""
    if header[LAST_AT] == 0.0:
        header[FIRST_AT] = at_ms
    header[LAST_AT] = max(header[LAST_AT], float(at_ms))
    if learnt:
        header[SAMPLES] += 1.0
