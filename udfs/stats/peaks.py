"""Peaks: how far out ordinary observations of a series really go, beyond what its detector takes for granted.

A detector says how improbable a deviation is if the law it assumes holds, in decades (minus the decimal logarithm).
Here is kept how often the deviations of a series come to FROM_DECADES, and how far they go on from there: a generalised
Pareto law over the peaks of excursions, fitted by moments (Pickands 1975, Statistical inference using extreme order
statistics; Hosking and Wallis 1987, Parameter and quantile estimation for the generalized Pareto distribution; Siffer
et al. 2017, Anomaly detection in streams with extreme value theory). Until a series has had many excursions, the
detector's own law counts as some of them. Neighbours beyond the threshold are one excursion, since they are one
alarm (Coles 2001, An introduction to statistical modeling of extreme values, chapter 5).

Where deviations are much smaller than the law has them, because a detector takes no spread for less than its floor,
none would ever come so far. There excursions begin at a multiple of the series' own spread, and deviations count in it.

State: PEAKS_WIDTH floats, zeros at first.
"""

import math

from udfs.kernels import Floats, kernel

PEAKS_WIDTH = 8
_SEEN, _SAMPLES, _PEAKS, _MEAN, _SQUARE, HIGHEST, _SCORED, _SPREAD = range(PEAKS_WIDTH)
"""Observations up to the newest excursion, and the series' samples then; excursions, slowly forgotten with them; mean
and mean square of their excesses; how far the present one goes, 0 if there is none; deviations that were seen, slowly
forgotten, and their mean square."""

FROM_DECADES = 2.0
"""One in a hundred observations, if the detector's law holds."""
PRIOR_EXCURSIONS, PRIOR_PEAKS = 1.0, 5.0
"""Excursions for which the detector's own law counts: in how often they come, and in how far they go."""
MEMORY_PEAKS = 200.0
"""Excursions that are remembered; older ones are forgotten as new ones come."""
_LARGEST_EXCESS = 4.0
"""An excursion teaches no more than this many decades beyond the threshold, or one outage would hide the next."""
_LARGEST_SHAPE = 0.5
DOUBT = 2.0
"""Where too many alarms are worse than too few, the shape of a tail is no less than this divided by the excursions."""
_REACH, _LEAST_REACH = 3.5, 0.05
"""Where excursions begin in a series that deviates little: standard deviations, and share of the law's threshold."""
_LEAST_SCORED, _MEMORY_SCORED, _DOUBT_SCORED = 10.0, 500.0, 80.0
"""How many deviations there are before their spread is believed at all, how many are remembered, and after how many it
is still taken for twice what it seems."""
_PER_DECADE = math.log(10.0)
_PRIOR_SEEN = PRIOR_EXCURSIONS * 10.0**FROM_DECADES
_PRIOR_MEAN = 1.0 / _PER_DECADE
_PRIOR_SQUARE = 2.0 / _PER_DECADE**2
_LIGHT = 1e-6


@kernel
def own_decades(states: Floats, row: int, at: int, decades: float, samples: float, doubt: float) -> float:
    """Return how improbable a deviation is for a series, in decades, >= 0.

    The state begins at `states[row, at]`; `samples` is how many observations the series' baseline rests on, from which
    it is known how many there were since the last excursion. The same in what follows.
    """
    excursions = states[row, at + _PEAKS]
    first = math.log10((_PRIOR_SEEN + _seen(states, row, at, samples)) / (PRIOR_EXCURSIONS + excursions))
    excess = decades - FROM_DECADES
    if excess <= 0.0:
        return decades * first / FROM_DECADES
    known = excursions / (PRIOR_PEAKS + excursions)
    mean = _PRIOR_MEAN + known * (states[row, at + _MEAN] - _PRIOR_MEAN)
    square = _PRIOR_SQUARE + known * (states[row, at + _SQUARE] - _PRIOR_SQUARE)
    ratio = mean * mean / max(square - mean * mean, _LIGHT)
    shape = min(max(0.5 * (1.0 - ratio), doubt / (PRIOR_PEAKS + excursions)), _LARGEST_SHAPE)
    scale = max(mean * (1.0 - shape), _LIGHT)
    if shape < _LIGHT:
        return first + excess / scale / _PER_DECADE
    return first + math.log10(1.0 + shape * excess / scale) / shape


@kernel
def own_reach(states: Floats, row: int, at: int, reach: float) -> float:
    """Return the deviation at which excursions begin: `reach`, which is the law's, or less if the series needs less."""
    scored = states[row, at + _SCORED]
    if scored < _LEAST_SCORED:
        return reach
    spread = (1.0 + _DOUBT_SCORED / scored) * math.sqrt(states[row, at + _SPREAD])
    return min(reach, max(_REACH * spread, _LEAST_REACH * reach))


@kernel
def note_deviation(states: Floats, row: int, at: int, deviation: float) -> None:
    """Note a deviation of a series that is warm, 0 for one on a side that is not told of."""
    scored = min(states[row, at + _SCORED] + 1.0, _MEMORY_SCORED)
    states[row, at + _SCORED] = scored
    states[row, at + _SPREAD] += (deviation * deviation - states[row, at + _SPREAD]) / scored


@kernel
def note_decades(
    states: Floats,
    row: int,
    at: int,
    decades: float,
    samples: float,
    is_far: bool,  # noqa: FBT001 - kernels are called by position
) -> None:
    """Note an observation: beyond the threshold it begins or goes on an excursion, below it ends one."""
    if is_far:
        states[row, at + HIGHEST] = max(states[row, at + HIGHEST], decades, FROM_DECADES)
    elif states[row, at + HIGHEST] > 0.0:
        _learn_peak(states, row, at, samples)


@kernel
def _seen(states: Floats, row: int, at: int, samples: float) -> float:
    # A new level begins with few samples: what came before is counted already.
    return states[row, at + _SEEN] + max(samples - states[row, at + _SAMPLES], 0.0)


@kernel
def _learn_peak(states: Floats, row: int, at: int, samples: float) -> None:
    states[row, at + _SEEN] = _seen(states, row, at, samples)
    states[row, at + _SAMPLES] = samples
    excess = min(states[row, at + HIGHEST] - FROM_DECADES, _LARGEST_EXCESS)
    states[row, at + HIGHEST] = 0.0
    states[row, at + _PEAKS] += 1.0
    weight = 1.0 / states[row, at + _PEAKS]
    states[row, at + _MEAN] += weight * (excess - states[row, at + _MEAN])
    states[row, at + _SQUARE] += weight * (excess * excess - states[row, at + _SQUARE])
    if states[row, at + _PEAKS] > MEMORY_PEAKS:
        states[row, at + _SEEN] *= MEMORY_PEAKS / states[row, at + _PEAKS]
        states[row, at + _PEAKS] = MEMORY_PEAKS
