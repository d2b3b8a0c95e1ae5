"""Series: one column of numbers with times, judged from its first observation to its last by the detector `novelty`."""

import math
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from udfs.calibration import calibrate, heavy_tail_decades
from udfs.decision import CRITICAL_RANK, WARNING_RANK
from udfs.detector import Kernel
from udfs.detectors.novelty import Novelty, deviation_of
from udfs.kernels import Floats, Integers, kernel

SERIES_DETECTOR = Novelty(detector_id="series", on="event", metrics=("value",))
"""The one default configuration, whatever the series."""

_score, _learn, _surprise = Novelty.kernels.score, Novelty.kernels.learn, Novelty.kernels.surprise
_expect = cast("Kernel", Novelty.kernels.expect)


class Verdicts(NamedTuple):
    """What is said about each observation of a series; arrays of one length."""

    score: Floats
    """In [0, 1]: from 0.5 on an anomaly; below, how improbable the level is, or what is not new. 0 if missing."""
    rank: Integers
    """0 nothing, 1 warning, 2 critical."""
    band: Floats
    """float64[n, 3]: expected value, low and high end; NaN before the first observation."""

    @property
    def is_anomaly(self) -> NDArray[np.bool_]:
        """What would be alerted on."""
        return self.rank > 0


class SeriesWatch:
    """One series in one pass: whatever it is cut into, observations get the verdicts they would get at once."""

    def __init__(self, detector: Novelty = SERIES_DETECTOR) -> None:
        self._detector = detector
        self._parameters = detector.parameters()
        self._thresholds = np.array([detector.warning, np.inf if detector.critical is None else detector.critical])
        self._state = np.zeros(detector.state_width)

    def judge(self, at_ms: Integers, values: Floats) -> Verdicts:
        """Judge and learn observations in the order of their arrival; what is not finite is missing.

        `at_ms` int64[n] are milliseconds since the epoch, `values` float64[n].
        """
        count = len(values)
        score, rank, band = np.zeros(count), np.zeros(count, dtype=np.int64), np.full((count, 3), np.nan)
        _judge(self._state, at_ms, values, self._parameters, self._thresholds, score, rank, band)
        return Verdicts(score, rank, band)


@kernel
def _judge(
    state: Floats,
    at_ms: Integers,
    values: Floats,
    parameters: Floats,
    thresholds: Floats,
    score: Floats,
    rank: Integers,
    band: Floats,
) -> None:
    """Write the verdict of each observation, then learn it: with weight 0 if it is an anomaly, as in the job."""
    seen = False
    for i in range(values.shape[0]):
        x, at = values[i], at_ms[i]
        if not seen:
            seen = bool(state.any())
        if seen:
            band[i, 0], band[i, 1], band[i, 2] = _expect(state, 1.0, at, parameters, 1.0)
        if not math.isfinite(x):
            continue
        novelty = abs(_score(state, x, 1.0, at, parameters))
        is_anomaly = novelty >= thresholds[0]
        if is_anomaly:
            score[i] = calibrate(_surprise(novelty, parameters))
            rank[i] = CRITICAL_RANK if novelty >= thresholds[1] else WARNING_RANK
        else:
            # The level goes on being off while an anomaly lasts: it is ranked, below whatever is alerted on.
            score[i] = 0.5 * calibrate(heavy_tail_decades(deviation_of(state, x, at)))
        _learn(state, x, 1.0, at, parameters, 0.0 if is_anomaly else 1.0)
