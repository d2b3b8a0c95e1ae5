"""Loops: the three shapes in which a driver runs the kernels of a detector over a batch. Templates for `specialise`.

Each observation is scored first and learnt afterwards, before the next one. `_score`, `_learn`, `_adopt`, `_surprise`
and `_expect` stand for the kernels of the detector at hand; what else is decided is in `udfs.decision`.
"""

import math
from typing import Any

import numpy as np

from udfs.calibration import calibrate
from udfs.decision import (
    CRITICAL_RANK,
    HEADER_WIDTH,
    LAST_AT,
    OPENED,
    PREFIX_WIDTH,
    QUIET,
    RAISED,
    RUN,
    SAMPLES,
    TOLD_AT,
    TOLD_RANK,
    WARNING_RANK,
    count_run,
    is_anomalous,
    is_forgotten,
    is_heavy_enough,
    is_new_level,
    is_particular,
    is_rare,
    is_warm,
    law_reach,
    note,
    rank_of,
    reach_of,
    tell,
    threshold_of,
    told_size,
)
from udfs.flags import FLAG_WIDTH, with_room, write_evidence, write_verdict
from udfs.kernels import Floats, Integers, kernel
from udfs.stats.peaks import DOUBT, HIGHEST, note_decades, note_deviation, own_decades, own_reach

FIRST_ROOM = 16
"""Flags that a batch has room for before its table must grow."""

_score: Any
_learn: Any
_adopt: Any
_surprise: Any
_expect: Any


@kernel
def _load(states: Floats, row: int, start: int, header: Floats, state: Floats) -> None:
    """Copy a series out: cheaper than views, whose references are counted, and a kernel cannot reach beyond it."""
    for k in range(HEADER_WIDTH):
        header[k] = states[row, start + k]
    for k in range(state.shape[0]):
        state[k] = states[row, start + PREFIX_WIDTH + k]


@kernel
def _store(states: Floats, row: int, start: int, header: Floats, state: Floats) -> None:
    for k in range(HEADER_WIDTH):
        states[row, start + k] = header[k]
    for k in range(state.shape[0]):
        states[row, start + PREFIX_WIDTH + k] = state[k]


@kernel
def _begin_again(header: Floats, state: Floats, states: Floats, row: int, start: int) -> None:
    for k in range(HEADER_WIDTH):
        header[k] = 0.0
    for k in range(HEADER_WIDTH, PREFIX_WIDTH):
        states[row, start + k] = 0.0
    for k in range(state.shape[0]):
        state[k] = 0.0


def over_series(  # noqa: C901, PLR0912, PLR0915 - each call of a kernel costs: references to arrays are counted
    states: Floats,
    column: int,
    width: int,
    rows: Integers,
    at_ms: Integers,
    values: Floats,
    columns: Integers,
    resolution: Floats,
    volumes: Floats,
    parameters: Floats,
    policy: Floats,
    bands: Floats,
) -> Floats:
    """Run a detector that judges each metric by itself; return the table of its flags.

    `bands` is float64[n, metrics, 3] to receive what was expected, NaN while warming up, or of length 0.
    """
    count = 0
    table = np.empty((FIRST_ROOM, FLAG_WIDTH))
    header, state = np.empty(HEADER_WIDTH), np.empty(width - PREFIX_WIDTH)
    per_unit = 1.0 / resolution
    for i in range(rows.shape[0]):
        at, volume = at_ms[i], volumes[i]
        for j in range(columns.shape[0]):
            unit = resolution[j]
            start = column + j * width
            _load(states, rows[i], start, header, state)
            if is_forgotten(header, at, policy):
                _begin_again(header, state, states, rows[i], start)
            warm = is_warm(header, at, policy)
            if bands.shape[0] > 0:
                expected, low, high = np.nan, np.nan, np.nan
                if warm and volume > 0.0:
                    expected, low, high = _expect(state, volume, at, parameters, reach_of(policy))
                bands[i, j, 0] = expected * unit
                bands[i, j, 1] = low * unit
                bands[i, j, 2] = high * unit
            x = values[i, columns[j]] * per_unit[j]
            if not math.isfinite(x) or not is_heavy_enough(volume, policy):
                continue
            deviation = _score(state, x, volume, at, parameters) if warm else 0.0
            anomalous = is_anomalous(deviation, policy)
            peaks, samples = start + HEADER_WIDTH, header[SAMPLES]
            size, reach = told_size(deviation, policy), own_reach(states, rows[i], peaks, law_reach(policy))
            far = size >= reach
            surprise = 0.0
            if anomalous or far:
                surprise = _surprise(abs(deviation) * law_reach(policy) / reach, parameters)
            if warm:
                note_deviation(states, rows[i], peaks, min(size, reach))
            decades = own_decades(states, rows[i], peaks, surprise, samples, 0.0) if surprise > 0.0 else 0.0
            if anomalous and is_particular(policy):
                anomalous = is_rare(header, own_decades(states, rows[i], peaks, surprise, samples, DOUBT), policy)
            if far or states[rows[i], peaks + HIGHEST] > 0.0:
                note_decades(states, rows[i], peaks, surprise, samples, far)
            if anomalous or header[RUN] > 0.0:
                count_run(header, at, anomalous)
                rank = rank_of(header, deviation, policy) if anomalous else 0.0
                reason = tell(header, at, rank, policy)
                if reason != QUIET:
                    expected, low, high = _expect(state, volume, at, parameters, reach_of(policy))
                    score = calibrate(decades)
                    observed = values[i, columns[j]]
                    table = with_room(table, count)
                    write_verdict(table, count, i, j, at, deviation, score, rank, reason)
                    write_evidence(table, count, observed, expected * unit, low * unit, high * unit, samples, volume)
                    count += 1
            if is_new_level(header, at, policy):
                header[SAMPLES] = _adopt(state, x, volume, at, parameters)
                header[RUN] = 0.0
            else:
                _learn(state, x, volume, at, parameters, 0.0 if anomalous else 1.0)
            note(header, at, not anomalous)
            _store(states, rows[i], start, header, state)
    return table[:count].copy()


def over_vectors(  # noqa: C901, PLR0912 - as above
    states: Floats,
    column: int,
    width: int,
    rows: Integers,
    at_ms: Integers,
    values: Floats,
    columns: Integers,
    resolution: Floats,
    volumes: Floats,
    parameters: Floats,
    policy: Floats,
) -> Floats:
    """Run a detector that judges all its metrics together; return the table of its flags, with each metric's share."""
    count = 0
    metrics = columns.shape[0]
    table = np.empty((FIRST_ROOM, FLAG_WIDTH + metrics))
    header, state = np.empty(HEADER_WIDTH), np.empty(width - PREFIX_WIDTH)
    x, shares = np.empty(metrics), np.zeros(metrics)
    for i in range(rows.shape[0]):
        at, volume = at_ms[i], volumes[i]
        seen = 0
        for j in range(metrics):
            x[j] = values[i, columns[j]] / resolution[j]
            if math.isfinite(x[j]):
                seen += 1
            else:
                x[j] = np.nan
        if seen == 0 or not is_heavy_enough(volume, policy):
            continue
        _load(states, rows[i], column, header, state)
        if is_forgotten(header, at, policy):
            _begin_again(header, state, states, rows[i], column)
        warm = is_warm(header, at, policy)
        deviation = _score(state, x, volume, at, parameters, shares) if warm else 0.0
        anomalous = is_anomalous(deviation, policy)
        far = told_size(deviation, policy) >= law_reach(policy)
        surprise = _surprise(deviation, parameters) if anomalous or far else 0.0
        peaks, samples = column + HEADER_WIDTH, header[SAMPLES]
        decades = own_decades(states, rows[i], peaks, surprise, samples, 0.0) if surprise > 0.0 else 0.0
        if anomalous and is_particular(policy):
            anomalous = is_rare(header, own_decades(states, rows[i], peaks, surprise, samples, DOUBT), policy)
        if far or states[rows[i], peaks + HIGHEST] > 0.0:
            note_decades(states, rows[i], peaks, surprise, samples, far)
        if anomalous or header[RUN] > 0.0:
            count_run(header, at, anomalous)
            rank = rank_of(header, deviation, policy) if anomalous else 0.0
            reason = tell(header, at, rank, policy)
            if reason != QUIET:
                score = calibrate(decades)
                table = with_room(table, count)
                write_verdict(table, count, i, -1, at, deviation, score, rank, reason)
                write_evidence(table, count, np.nan, np.nan, np.nan, np.nan, header[SAMPLES], volume)
                for j in range(metrics):
                    table[count, FLAG_WIDTH + j] = shares[j]
                count += 1
        if is_new_level(header, at, policy):
            header[SAMPLES] = _adopt(state, x, volume, at, parameters)
            header[RUN] = 0.0
        else:
            _learn(state, x, volume, at, parameters, 0.0 if anomalous else 1.0)
        note(header, at, not anomalous)
        _store(states, rows[i], column, header, state)
    return table[:count].copy()


def over_silences(
    states: Floats,
    column: int,
    width: int,
    rows: Integers,
    at_ms: Integers,
    volumes: Floats,
    step_ms: int,
    learns: bool,  # noqa: FBT001 - kernels are called by position
    parameters: Floats,
    policy: Floats,
) -> Floats:
    """Tell of silences of series up to `at_ms`; return the table of flags. If `learns`, they are observed then.

    A silence is dated to the end of the first window, a multiple of `step_ms`, in which it was long enough, whenever
    that is asked; so it is the same whether it is found at that moment or only when the series speaks again.
    """
    count = 0
    table = np.empty((FIRST_ROOM, FLAG_WIDTH))
    header, state = np.empty(HEADER_WIDTH), np.empty(width - PREFIX_WIDTH)
    for i in range(rows.shape[0]):
        at = at_ms[i]
        _load(states, rows[i], column, header, state)
        last = int(header[LAST_AT])
        # The window that a series speaks in again is no window of silence.
        latest = at // step_ms - (1 if learns else 0)
        is_watched = is_warm(header, at, policy) and not is_forgotten(header, at, policy)
        for rank in range(WARNING_RANK, CRITICAL_RANK + 1):
            threshold = threshold_of(rank, policy)
            silence = float(latest * step_ms - last)
            if not is_watched or silence <= 0.0:
                break
            if header[TOLD_RANK] >= rank:
                continue
            if _score(state, silence, 0.0, latest * step_ms, parameters) < threshold:
                break
            before, found = last // step_ms, latest
            while found - before > 1:
                middle = (before + found) // 2
                silence = float(middle * step_ms - last)
                if _score(state, silence, 0.0, middle * step_ms, parameters) < threshold:
                    before = middle
                else:
                    found = middle
            since = found * step_ms
            deviation = _score(state, float(since - last), 0.0, since, parameters)
            expected, low, high = _expect(state, 0.0, since, parameters, threshold)
            score = calibrate(_surprise(deviation, parameters))
            reason = OPENED if rank == WARNING_RANK else RAISED
            table = with_room(table, count)
            write_verdict(table, count, i, 0, since, -deviation, score, float(rank), reason)
            write_evidence(table, count, 0.0, expected, low, high, header[SAMPLES], 0.0)
            count += 1
            header[TOLD_RANK] = rank
            header[TOLD_AT] = since
        if learns:
            if is_forgotten(header, at, policy):
                _begin_again(header, state, states, rows[i], column)
                last = 0
            # Before its first observation a series was not silent: it was not there.
            since_last = float(max(at - last, 0)) if last > 0 else 0.0
            _learn(state, since_last, volumes[i], at, parameters, 1.0)
            header[TOLD_RANK] = 0.0
            note(header, at, True)
        _store(states, rows[i], column, header, state)
    return table[:count].copy()
