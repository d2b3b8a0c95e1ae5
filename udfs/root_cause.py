"""Root cause: which component of a call graph most likely made another one ill.

Trouble flows from callee to caller: who calls a slow or failing component is slow or failing as well. So the change of
each component since before the trouble is compared with what the changes of those it calls explain; the rest is its
own. That, times its requests, is its impact: seconds or failures that began there, whoever felt them. (The idea of
walking along anomalous components in Chen et al. 2014, CauseInfer, and Lin et al. 2018, Microscope, but with quantities
in place of thresholds: there is nothing to tune.)
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from udfs.kernels import Floats, Integers

Key = tuple[str, str, str]
"""Component, metric, statistic."""

REQUESTS = ("requests", "Sum")
"""Metric and statistic that say how many calls a component got in an interval."""
NEAR = 2
"""Intervals after the time of the symptom in which its height is looked for."""
_MAD_TO_DEVIATION = 1.4826
_LEAST_NORMAL = 20
_ORDINARY = 2.0
"""Robust standard deviations that a metric may move by itself."""
_FAINT = 1e-3
"""Relative change that is nothing."""


class Metrics(NamedTuple):
    """What was measured: the ends of the intervals, and a series float64[n] for each key, NaN without traffic."""

    at_ms: Integers
    series: Mapping[Key, Floats]

    def of(self, component: str, metric: str, statistic: str) -> Floats:
        """Return a series; all NaN if it was not measured."""
        found = self.series.get((component, metric, statistic))
        return np.full(len(self.at_ms), np.nan) if found is None else found

    @property
    def step_ms(self) -> int:
        """Usual length of an interval; 1 if there is but one."""
        return int(np.median(np.diff(self.at_ms))) if len(self.at_ms) > 1 else 1


class Symptom(NamedTuple):
    """What was felt: where, in which metric, and when."""

    component: str
    metric: str
    statistic: str
    at_ms: int


class Suspect(NamedTuple):
    """One component: how much of the trouble began there."""

    component: str
    share: float
    """Of the impact of all components, from 0 to 1."""
    before: float
    during: float
    own: float
    """What of its change those it calls do not explain, in the metric's unit; never negative."""
    requests: float
    """In the interval looked at; NaN if they were not counted."""


def suspects(
    metrics: Metrics, calls: Mapping[str, Sequence[str]], symptom: Symptom, normal: Metrics | None = None
) -> list[Suspect]:
    """Return the component of the symptom and all it calls, directly or not, the likeliest cause first.

    `calls` are the callees of each component. What is before is the median of the intervals that end at least one
    interval before the symptom, else of `normal`, which also tells how much of a change is ordinary; without either, it
    is the first interval. Raises ValueError if nothing is known of the symptom's series before or after.
    """
    scene = _Scene(metrics, symptom, normal)
    components = _reachable(calls, symptom.component)
    changes = {each: scene.change(each) for each in components}
    own = {}
    for component in components:
        explained = sum(
            changes[callee].amount * _ratio(changes[callee].requests, changes[component].requests)
            for callee in calls.get(component, ())
            if not changes[callee].is_new
        )
        own[component] = max(changes[component].amount - explained, 0.0)
    impact = {each: own[each] * (_known(changes[each].requests) or 1.0) for each in components}
    total = sum(impact.values()) or 1.0
    found = [
        Suspect(each, impact[each] / total, change.before, change.during, own[each], change.requests)
        for each, change in changes.items()
    ]
    # Of those without any impact, whoever changed more goes first.
    return sorted(found, key=lambda each: (-each.share, -changes[each.component].amount, each.component))


def most_changed_metric(metrics: Metrics, component: str, statistic: str, at_ms: int, normal: Metrics | None) -> str:
    """Return the metric in which a component has changed most, compared with what others changed in it by then.

    Raises ValueError if it has no series that changed.
    """
    found: list[tuple[float, str]] = []
    for metric in sorted({key[1] for key in metrics.series} - {REQUESTS[0]}):
        names = {key[0] for key in metrics.series if key[1:] == (metric, statistic)}
        try:
            scene = _Scene(metrics, Symptom(component, metric, statistic, at_ms), normal)
        except ValueError:
            continue
        relative = [abs(each) for each in (scene.relative(name) for name in sorted(names)) if np.isfinite(each)]
        found.append((abs(scene.relative(component)) / (float(np.median(relative)) + _FAINT), metric))
    if not found:
        raise ValueError(f"nothing is known of {component!r} before and after; name a metric that it has")
    return max(found)[1]


def most_changed_time(metrics: Metrics, component: str, metric: str, statistic: str) -> int:
    """Return the end of the interval in which a series lies farthest from its median; ValueError if it is empty."""
    values = metrics.of(component, metric, statistic)
    if not np.isfinite(values).any():
        raise ValueError(f"{component!r} has no values of {metric} {statistic}")
    return int(metrics.at_ms[np.nanargmax(np.abs(values - np.nanmedian(values)))])


class _Change(NamedTuple):
    """How a component changed to the symptom's side."""

    before: float
    during: float
    amount: float
    requests: float
    is_new: bool
    """Nobody had called it before: that it is called now is its caller's doing."""


class _Scene:
    """The interval in which a symptom is at its height, and which intervals were before it."""

    def __init__(self, metrics: Metrics, symptom: Symptom, normal: Metrics | None) -> None:
        self._metrics, self._normal = metrics, normal
        self._what = symptom.metric, symptom.statistic
        self._is_before = metrics.at_ms <= symptom.at_ms - metrics.step_ms
        if normal is None and len(metrics.at_ms) > 1:
            # Who knows nothing else takes the first interval for what was before.
            self._is_before[0] = True
        near = ~self._is_before & (metrics.at_ms <= symptom.at_ms + NEAR * metrics.step_ms)
        values = metrics.of(symptom.component, *self._what)
        usual = self._before(symptom.component)
        rows = np.flatnonzero(near & np.isfinite(values))
        if not len(rows) or not np.isfinite(usual):
            raise ValueError(
                f"{symptom.component!r} has no {symptom.metric} {symptom.statistic} "
                f"{'before' if len(rows) else 'at'} the time of the symptom"
            )
        self._row = int(rows[np.argmax(np.abs(values[rows] - usual))])
        self._side = float(np.sign(values[self._row] - usual)) or 1.0
        levels = [self._before(key[0]) for key in metrics.series if key[1:] == self._what]
        known = [level for level in levels if np.isfinite(level)]
        # Of one that had no calls: nothing took no time, and nothing failed.
        self._nothing = 0.0 if self._side > 0.0 else float(np.median(known))

    def change(self, component: str) -> _Change:
        """Return how a component changed, as far as that is beyond the ordinary."""
        before, during = self._before(component), float(self._metrics.of(component, *self._what)[self._row])
        requests = float(self._metrics.of(component, *REQUESTS)[self._row])
        if not np.isfinite(during):
            return _Change(before, during, 0.0, requests, is_new=False)
        is_new = not np.isfinite(before)
        level = self._nothing if is_new else before
        amount = (during - level) * self._side - _ORDINARY * self._deviation(component, level)
        return _Change(level, during, max(float(amount), 0.0), requests, is_new=is_new)

    def relative(self, component: str) -> float:
        """Return the change of a component as a share of what it was; NaN if that is not known."""
        before = self._before(component)
        return (float(self._metrics.of(component, *self._what)[self._row]) - before) / max(abs(before), 1e-12)

    def _before(self, component: str) -> float:
        own = _median(self._metrics.of(component, *self._what)[self._is_before])
        if np.isfinite(own) or self._normal is None:
            return own
        return _median(self._normal.of(component, *self._what))

    def _deviation(self, component: str, level: float) -> float:
        """Return the ordinary scatter of a series at a level; 0 where it is not known."""
        series = self._metrics.of(component, *self._what)[self._is_before]
        if self._normal is not None:
            series = np.concatenate([series, self._normal.of(component, *self._what)])
        known = series[np.isfinite(series)]
        if len(known) < _LEAST_NORMAL:
            return 0.0
        middle = float(np.median(known))
        # As a share of the level: what is slower scatters more, and the normal run may be another day's.
        return _MAD_TO_DEVIATION * float(np.median(np.abs(known - middle))) * abs(level) / max(abs(middle), 1e-12)


def _reachable(calls: Mapping[str, Sequence[str]], start: str) -> list[str]:
    found = [start]
    for each in found:
        found += [callee for callee in dict.fromkeys(calls.get(each, ())) if callee not in found]
    return found


def _ratio(callee: float, caller: float) -> float:
    """Return the share of the caller's calls that reach a callee: at most 1, and 1 where it was not counted."""
    return min(_known(callee) / _known(caller), 1.0) if _known(callee) and _known(caller) else 1.0


def _known(count: float) -> float:
    return count if np.isfinite(count) else 0.0


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
