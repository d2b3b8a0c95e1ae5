"""The scoring rule of the Numenta Anomaly Benchmark, v1.1 (Lavin and Ahmad 2015), own implementation.

Rows of the first 15 % of a file, at most 750, are never scored. The first detection in a window earns up to 1, nearly
all of it at its left edge and nothing at its right one; a window without one costs `missed`; each detection outside
costs up to `false`, less just after a window. One threshold holds for all files. 0 is what no detection at all scores,
100 one at the left edge of each window.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tests.quality.labelled_data import Labelled
from udfs.kernels import Floats, Integers

PROBATION_SHARE, PROBATION_MOST = 0.15, 750
_NEVER = np.inf


class Profile(NamedTuple):
    """What a missed window and a false detection cost."""

    name: str
    missed: float
    false: float


PROFILES = (Profile("standard", 1.0, 0.11), Profile("low FP", 1.0, 0.22), Profile("low FN", 2.0, 0.11))


class NabScore(NamedTuple):
    """What a set of files scored at one threshold."""

    score: float
    threshold: float
    windows_found: int
    windows: int
    false_rows: int
    delay_rows: float
    """Median rows from the left edge of a window to its first detection."""


class _Laid(NamedTuple):
    """One file's scores beside the worth of a detection in each row."""

    scores: Floats
    worth: Floats
    window: Integers
    """Number of the window a row is in, -1 outside."""
    scored: slice
    spans: tuple[tuple[int, int], ...]


def nab_score(series: Sequence[Labelled], scores: Sequence[Floats], profile: Profile) -> NabScore:
    """Return the score at the best threshold for all files together."""
    laid = [_lay(each, score) for each, score in zip(series, scores, strict=True)]
    thresholds = _thresholds(laid)
    best = max(thresholds, key=lambda threshold: sum(_raw(each, threshold, profile) for each in laid))
    return nab_score_at(series, scores, profile, float(best))


def nab_score_at(series: Sequence[Labelled], scores: Sequence[Floats], profile: Profile, threshold: float) -> NabScore:
    """Return the score at a given threshold."""
    laid = [_lay(each, score) for each, score in zip(series, scores, strict=True)]
    windows = sum(len(each.spans) for each in laid)
    raw = sum(_raw(each, threshold, profile) for each in laid)
    none = -profile.missed * windows
    found, false, delays = 0, 0, []
    for each in laid:
        hit = _hits(each, threshold)
        false += int((hit & (each.window < 0)).sum())
        for number, (left, _) in enumerate(each.spans):
            inside = np.flatnonzero(hit & (each.window == number))
            if len(inside):
                found += 1
                delays.append(int(inside[0]) - left)
    delay = float(np.median(delays)) if delays else np.nan
    return NabScore(100.0 * (raw - none) / (windows - none), threshold, found, windows, false, delay)


def _lay(series: Labelled, scores: Floats) -> _Laid:
    count = len(scores)
    rows = np.arange(count)
    worth, window = np.full(count, -1.0), np.full(count, -1)
    starts = [left for left, _ in series.spans] + [count]
    for number, (left, right) in enumerate(series.spans):
        width = right - left + 1
        after = rows[right + 1 : max(starts[number + 1], right + 1)]
        worth[after] = _sigmoid((after - right) / max(width - 1, 1))
    for number, (left, right) in enumerate(series.spans):
        inside = rows[left : right + 1]
        worth[inside] = _sigmoid(-(right - inside + 1) / (right - left + 1)) / _sigmoid(np.array(-1.0))
        window[inside] = number
    probation = int(np.ceil(min(np.floor(PROBATION_SHARE * count), PROBATION_MOST)))
    return _Laid(scores, worth, window, slice(probation, None), series.spans)


def _sigmoid(place: Floats) -> Floats:
    return np.where(place > 3.0, -1.0, 2.0 / (1.0 + np.exp(np.minimum(5.0 * place, 60.0))) - 1.0)


def _hits(laid: _Laid, threshold: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    hit = np.zeros(len(laid.scores), dtype=np.bool_)
    hit[laid.scored] = laid.scores[laid.scored] >= threshold
    return hit


def _raw(laid: _Laid, threshold: float, profile: Profile) -> float:
    hit = _hits(laid, threshold)
    total = profile.false * float(laid.worth[hit & (laid.window < 0)].sum())
    for number in range(len(laid.spans)):
        inside = laid.worth[hit & (laid.window == number)]
        total += max(float(inside.max()), -profile.missed) if len(inside) else -profile.missed
    return total


def _thresholds(laid: Sequence[_Laid]) -> list[float]:
    """Return thresholds worth trying: the highest scores, denser where they matter, and one that nothing reaches."""
    scores = np.unique(np.concatenate([each.scores[each.scored] for each in laid]))[::-1]
    return [_NEVER, *scores[:600].tolist(), *scores[600:20_000:200].tolist()]
