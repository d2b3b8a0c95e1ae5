"""Flags: what a driver has to say about a batch of observations, as columns."""

import numpy as np

from udfs.kernels import Floats, Integers, kernel

FLAG_WIDTH = 14
(
    _I,
    _J,
    _AT_MS,
    _RAW_SCORE,
    _SCORE,
    _SIDE,
    _SEVERITY,
    _REASON,
    _OBSERVED,
    _EXPECTED,
    _LOW,
    _HIGH,
    _SAMPLES,
    _VOLUME,
) = range(FLAG_WIDTH)


class Flags:
    """The observations to be told of, in order: one array of length k for each column of `table`, float64[k, ...]."""

    def __init__(self, table: Floats) -> None:
        """Take the rows that a driver's loop has written."""
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    @property
    def i(self) -> Integers:
        """Position of the observation in the batch; for `Driver.silences` the row of the state."""
        return self.table[:, _I].astype(np.int64)

    @property
    def j(self) -> Integers:
        """Position of the metric in `detector.metrics`; -1 if it is about all of them."""
        return self.table[:, _J].astype(np.int64)

    @property
    def at_ms(self) -> Integers:
        """Event time of the observation; of a silence, the end of the window in which it became one."""
        return self.table[:, _AT_MS].astype(np.int64)

    @property
    def raw_score(self) -> Floats:
        """Magnitude of the deviation, >= 0, in the detector's unit."""
        return self.table[:, _RAW_SCORE]

    @property
    def score(self) -> Floats:
        """The same, calibrated: in [0, 1], comparable between detectors (`udfs.calibration`)."""
        return self.table[:, _SCORE]

    @property
    def side(self) -> Integers:
        """1 above, -1 below the expected range; 0 neither."""
        return self.table[:, _SIDE].astype(np.int64)

    @property
    def severity(self) -> Integers:
        """Rank of the severity: 1 warning, 2 critical."""
        return self.table[:, _SEVERITY].astype(np.int64)

    @property
    def reason(self) -> Integers:
        """Why it is told now: OPENED, RAISED or CONTINUED of `udfs.decision`."""
        return self.table[:, _REASON].astype(np.int64)

    @property
    def observed(self) -> Floats:
        """The observation, in the metric's unit; NaN where there is none."""
        return self.table[:, _OBSERVED]

    @property
    def expected(self) -> Floats:
        """What was expected, in the metric's unit; NaN where a detector expects nothing definite."""
        return self.table[:, _EXPECTED]

    @property
    def low(self) -> Floats:
        """Lower end of the expected range."""
        return self.table[:, _LOW]

    @property
    def high(self) -> Floats:
        """Upper end of the expected range."""
        return self.table[:, _HIGH]

    @property
    def samples(self) -> Integers:
        """Observations the baseline rested on."""
        return self.table[:, _SAMPLES].astype(np.int64)

    @property
    def volume(self) -> Floats:
        """Calls that the observation sums up."""
        return self.table[:, _VOLUME]

    @property
    def contributions(self) -> Floats:
        """Share of each metric in the score, float64[k, metrics]; no columns unless `form` is vector."""
        return self.table[:, FLAG_WIDTH:]


NO_FLAGS = Flags(np.empty((0, FLAG_WIDTH)))


@kernel
def with_room(table: Floats, count: int) -> Floats:
    """Return the table, or a longer copy of it if all rows are written."""
    if count < table.shape[0]:
        return table
    longer = np.empty((2 * table.shape[0], table.shape[1]))
    longer[:count] = table
    return longer


@kernel
def write_verdict(
    table: Floats, count: int, i: int, j: int, at_ms: int, deviation: float, score: float, rank: float, reason: int
) -> None:
    """Write who is flagged, when, how much and why. `deviation` is positive above, negative below."""
    table[count, _I] = i
    table[count, _J] = j
    table[count, _AT_MS] = at_ms
    table[count, _RAW_SCORE] = abs(deviation)
    table[count, _SCORE] = score
    table[count, _SIDE] = np.sign(deviation) if j >= 0 else 0.0
    table[count, _SEVERITY] = rank
    table[count, _REASON] = reason


@kernel
def write_evidence(
    table: Floats,
    count: int,
    observed: float,
    expected: float,
    low: float,
    high: float,
    samples: float,
    volume: float,
) -> None:
    """Write what was seen and what would have been unremarkable, in the metric's unit."""
    table[count, _OBSERVED] = observed
    table[count, _EXPECTED] = expected
    table[count, _LOW] = low
    table[count, _HIGH] = high
    table[count, _SAMPLES] = samples
    table[count, _VOLUME] = volume
