"""Baseline: what a series' own past says is normal, and how far an observation is from it; the shared driver loop.

One state row per key; a detector's block holds, for each of its metrics, a header (samples, first and last time, run of
flagged observations, when to speak again) and its estimates. Every observation is scored first and learnt after.
Decided here, for all detectors: warm-up, volume, direction, severity, persistence, learning and refractory time.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from udfs.kernels import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SERIES_WIDTH = 9
_SAMPLES, _FIRST_AT, _LAST_AT, _RUN, _RUN_SINCE, _QUIET_UNTIL, _SHOWN, _MEAN, _VARIANCE = range(SERIES_WIDTH)

PARAMETERS = (
    "kind",
    "warm_up_samples",
    "warm_up_ms",
    "warning",
    "critical",
    "half_life",
    "deviation_floor",
    "volume_min",
    "consecutive",
    "refractory_ms",
    "relearn_samples",
    "relearn_ms",
    "direction",
    "forget_ms",
)
(
    _KIND,
    _WARM_UP_SAMPLES,
    _WARM_UP_MS,
    _WARNING,
    _CRITICAL,
    _HALF_LIFE,
    _DEVIATION_FLOOR,
    _VOLUME_MIN,
    _CONSECUTIVE,
    _REFRACTORY_MS,
    _RELEARN_SAMPLES,
    _RELEARN_MS,
    _DIRECTION,
    _FORGET_MS,
) = range(len(PARAMETERS))

Z_SCORE, BINOMIAL = 0, 1
FLAG_WIDTH = 11
"""Columns: observation, metric, raw score, side, severity rank, observed, expected, low, high, samples, volume."""


class Flags(Struct, frozen=True):
    """Observations that are to be told of: float64[count, FLAG_WIDTH]."""

    rows: Floats


@kernel
def _z_score(series: Floats, x: float, volume: float, parameters: Floats, out: Floats) -> None:
    """Score a positive, heavy-tailed value on log scale; a mean of n values varies by sigma over the root of n."""
    value = np.log1p(max(x, 0.0))
    deviation = np.sqrt(series[_VARIANCE] / volume + parameters[_DEVIATION_FLOOR] ** 2)
    z = (value - series[_MEAN]) / deviation
    out[0] = abs(z)
    out[1] = np.sign(z)
    out[2] = np.expm1(series[_MEAN])
    reach = parameters[_WARNING] * deviation
    out[3] = max(np.expm1(series[_MEAN] - reach), 0.0)
    out[4] = np.expm1(min(series[_MEAN] + reach, 700.0))


@kernel
def _learn_z_score(series: Floats, x: float, volume: float, parameters: Floats) -> None:
    value = np.log1p(max(x, 0.0))
    samples = series[_SAMPLES]
    weight = max(1.0 / (samples + 1.0), 1.0 - 0.5 ** (1.0 / parameters[_HALF_LIFE]))
    if samples > parameters[_WARM_UP_SAMPLES]:
        # Huber: one wild value moves the baseline no further than an ordinary large one.
        reach = 3.0 * np.sqrt(series[_VARIANCE] / volume + parameters[_DEVIATION_FLOOR] ** 2)
        value = min(max(value, series[_MEAN] - reach), series[_MEAN] + reach)
    difference = value - series[_MEAN]
    series[_MEAN] += weight * difference
    series[_VARIANCE] = (1.0 - weight) * (series[_VARIANCE] + weight * difference * difference * volume)


@kernel
def _binomial(series: Floats, x: float, volume: float, parameters: Floats, out: Floats) -> None:
    """Score a share of `volume` calls by the signed root of the binomial deviance (McCullagh and Nelder 1989)."""
    # Mean and variance hold decayed failures and calls; a prior of one failure in a hundred calls.
    expected = (series[_MEAN] + 1.0) / (series[_VARIANCE] + 100.0)
    failures = x * volume
    deviance = 0.0
    if failures > 0.0:
        deviance += failures * np.log(x / expected)
    if failures < volume:
        deviance += (volume - failures) * np.log((1.0 - x) / (1.0 - expected))
    z = np.sqrt(max(2.0 * deviance, 0.0))
    out[0] = z
    out[1] = 1.0 if x > expected else -1.0
    out[2] = expected
    # The observation must also matter: an error rate that is rare but tiny is nobody's concern.
    if x > expected and x < parameters[_DEVIATION_FLOOR]:
        out[0] = 0.0
    reach = parameters[_WARNING] * np.sqrt(expected * (1.0 - expected) / volume)
    out[3] = max(expected - reach, 0.0)
    out[4] = max(min(expected + reach, 1.0), parameters[_DEVIATION_FLOOR])


@kernel
def _learn_binomial(series: Floats, x: float, volume: float, parameters: Floats) -> None:
    keep = 0.5 ** (1.0 / parameters[_HALF_LIFE])
    series[_MEAN] = keep * series[_MEAN] + x * volume
    series[_VARIANCE] = keep * series[_VARIANCE] + volume


@kernel
def _severity(score: float, parameters: Floats) -> float:
    if score >= parameters[_CRITICAL]:
        return 2.0
    return 1.0 if score >= parameters[_WARNING] else 0.0


@kernel
def judge(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one loop, so that score, decide, learn cannot be reordered
    states: Floats,
    offset: int,
    rows: Integers,
    at_ms: Integers,
    values: Floats,
    volumes: Floats,
    parameters: Floats,
    flags: Floats,
    bands: Floats,
) -> int:
    """Score and learn observations in order; return how many flags were written.

    `values` is float64[n, metrics], NaN for missing; `flags` float64[n * metrics, FLAG_WIDTH]; `bands` float64[n,
    metrics, 3] receives expected, low and high, NaN while warming up.
    """
    count = 0
    out = np.zeros(5)
    for i in range(rows.shape[0]):
        for j in range(values.shape[1]):
            bands[i, j, :] = np.nan
            x = values[i, j]
            if np.isnan(x) or volumes[i] < parameters[_VOLUME_MIN]:
                continue
            start = offset + j * SERIES_WIDTH
            series = states[rows[i], start : start + SERIES_WIDTH]
            if series[_SAMPLES] > 0.0 and at_ms[i] - series[_LAST_AT] > parameters[_FORGET_MS]:
                series[:] = 0.0
            is_ready = (
                series[_SAMPLES] >= parameters[_WARM_UP_SAMPLES]
                and at_ms[i] - series[_FIRST_AT] >= parameters[_WARM_UP_MS]
            )
            severity = 0.0
            if is_ready:
                if parameters[_KIND] == Z_SCORE:
                    _z_score(series, x, volumes[i], parameters, out)
                else:
                    _binomial(series, x, volumes[i], parameters, out)
                bands[i, j, :] = out[2:5]
                if parameters[_DIRECTION] == 0.0 or parameters[_DIRECTION] == out[1]:
                    severity = _severity(out[0], parameters)
            if severity > 0.0:
                if series[_RUN] == 0.0:
                    series[_RUN_SINCE] = at_ms[i]
                series[_RUN] += 1.0
                is_due = at_ms[i] >= series[_QUIET_UNTIL] or severity > series[_SHOWN]
                if series[_RUN] >= parameters[_CONSECUTIVE] and is_due:
                    flags[count, 0] = i
                    flags[count, 1] = j
                    flags[count, 2] = out[0]
                    flags[count, 3] = out[1]
                    flags[count, 4] = severity
                    flags[count, 5] = x
                    flags[count, 6:9] = out[2:5]
                    flags[count, 9] = series[_SAMPLES]
                    flags[count, 10] = volumes[i]
                    count += 1
                    series[_QUIET_UNTIL] = at_ms[i] + parameters[_REFRACTORY_MS]
                    series[_SHOWN] = severity
                is_new_level = (
                    series[_RUN] >= parameters[_RELEARN_SAMPLES]
                    and at_ms[i] - series[_RUN_SINCE] >= parameters[_RELEARN_MS]
                )
                if is_new_level:
                    # What lasts this long is normal now: begin again from here.
                    series[:] = 0.0
            else:
                series[_RUN] = 0.0
                if at_ms[i] >= series[_QUIET_UNTIL]:
                    series[_SHOWN] = 0.0
            if severity == 0.0 or series[_SAMPLES] == 0.0:
                if series[_SAMPLES] == 0.0:
                    series[_FIRST_AT] = at_ms[i]
                if parameters[_KIND] == Z_SCORE:
                    _learn_z_score(series, x, volumes[i], parameters)
                else:
                    _learn_binomial(series, x, volumes[i], parameters)
                series[_SAMPLES] += 1.0
            series[_LAST_AT] = max(series[_LAST_AT], float(at_ms[i]))
    return count
