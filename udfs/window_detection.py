"""Window detection: closed windows of one kind of entity through its detectors, into anomalies and summaries."""

from collections.abc import Iterable, Iterator, Sequence
from math import isnan

import numpy as np
from numpy.typing import NDArray

from schemas.anomaly import Entity, EntityType, Moved
from schemas.summary import Summary
from schemas.time import from_at_ms
from udfs.aggregates import AGGREGATES, SUMMARY_METRIC_NAMES, SUMMARY_METRICS, derive
from udfs.anomalies import of_window
from udfs.control import Control
from udfs.entity import entity_of
from udfs.findings import Findings
from udfs.moved import Part, far_parts, moved_by
from udfs.rules.anomaly import of_window_rule
from udfs.rules.predicate import Columns
from udfs.rules.watch import RuleWatch
from udfs.series_state import Segment, SeriesState
from udfs.settings import DetectionSettings
from udfs.store import Flag, Store
from udfs.windows import LEVEL_NAMES, LEVELS_MS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CALLS = AGGREGATES.index("calls")


class WindowDetection:
    """One store per length of window, for one kind of entity."""

    def __init__(self, settings: DetectionSettings, kind: EntityType, stored: Iterable[tuple[int, Segment]]) -> None:
        """Take the settings and everything stored."""
        self._published = settings.summaries
        self._kind = kind
        everything = list(stored)
        self.stores = [
            Store(level, kind, SUMMARY_METRIC_NAMES, settings.detectors, everything) for level in LEVEL_NAMES
        ]
        self.rules = [
            RuleWatch(level, kind, length_ms, everything)
            for level, length_ms in zip(LEVEL_NAMES, LEVELS_MS, strict=True)
        ]

    @property
    def series(self) -> int:
        """Entities that have state, on the kind of window that has most."""
        return max(len(store.state) for store in self.stores)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all state, as it is stored."""
        return sum(store.state.stored_bytes for store in self.stores) + sum(rules.stored_bytes for rules in self.rules)

    def take(self, control: Control) -> None:
        """Take the rules and models in force."""
        for store in self.stores:
            store.take_models(control.models)
        for rules in self.rules:
            rules.take(control.rules)

    def observe(
        self,
        level: int,
        keys: list[str],
        end_ms: Integers,
        aggregates: Floats,
        into: Findings,
        *,
        parts: Sequence[Sequence[Part]] = (),
        far: dict[int, list[Part]] | None = None,
    ) -> None:
        """Judge closed windows of one level, in the order in which each key's windows closed.

        `parts`, if given, are what is known of the parts of each window; `far`, if given, receives by place those
        windows that are themselves far parts of wider ones.
        """
        store, name, length_ms = self.stores[level], LEVEL_NAMES[level], LEVELS_MS[level]
        is_published = name == self._published
        rules = self.rules[level]
        if not keys or not (store.drivers or is_published or rules):
            return
        metrics = derive(aggregates, length_ms)
        volumes = aggregates[:, _CALLS]
        rows = store.state.rows(keys)
        expected: dict[str, Floats] | None = {} if is_published or far is not None else None
        for flag in store.observe(rows, end_ms, metrics, volumes, expected):
            moved = self._moved(flag, parts[flag.observation]) if parts else ()
            into.anomalies.append(of_window(flag, store.entity(int(rows[flag.observation])), name, length_ms, moved))
        for hit in rules.observe(keys, end_ms, Columns(SUMMARY_METRIC_NAMES, metrics)):
            into.anomalies.append(of_window_rule(hit, name, length_ms, int(volumes[hit.observation])))
        if far is not None and expected is not None:
            far.update(far_parts(keys, aggregates, metrics, expected))
        if is_published and expected is not None:
            entities = (entity_of(self._kind, key) for key in keys)
            into.summaries.append(_summaries(entities, name, length_ms, end_ms, metrics, expected, volumes))

    def _moved(self, flag: Flag, parts: Sequence[Part]) -> tuple[Moved, ...]:
        return moved_by(parts, flag.metric, flag.side, names_tenants=self._kind is EntityType.PROVIDER)

    def pass_time(self, watermark_ms: int, into: Findings) -> None:
        """Judge who is silent, when every window up to the watermark has been observed."""
        for store, name, length_ms in zip(self.stores, LEVEL_NAMES, LEVELS_MS, strict=True):
            for flag in store.silences(watermark_ms // length_ms * length_ms):
                into.anomalies.append(of_window(flag, store.entity(flag.observation), name, length_ms))

    def forget_idle(self, watermark_ms: int) -> None:
        """Drop what has not been seen for so long that it would begin again."""
        for store, rules in zip(self.stores, self.rules, strict=True):
            store.forget_idle(watermark_ms)
            rules.forget_idle(watermark_ms)

    def states(self) -> list[SeriesState]:
        """Return what is to be stored."""
        return [store.state for store in self.stores] + [state for rules in self.rules for state in rules.states()]


def _summaries(
    entities: Iterable[Entity],
    level: str,
    length_ms: int,
    end_ms: Integers,
    metrics: Floats,
    expected: dict[str, Floats],
    volumes: Floats,
) -> Iterator[Summary]:
    unknown = np.full((len(volumes), 3), np.nan)
    bands = [expected.get(metric.name, unknown).tolist() for metric in SUMMARY_METRICS]
    # Windows of one batch end together, as a rule.
    instants = {end: (from_at_ms(end - length_ms), from_at_ms(end)) for end in set(end_ms.tolist())}
    for i, (entity, end, values, volume) in enumerate(
        zip(entities, end_ms.tolist(), metrics.tolist(), volumes.tolist(), strict=True)
    ):
        timestamp, window_end = instants[end]
        parts = {
            "tenant_id": entity.tenant_id,
            "application_id": entity.application_id,
            "provider": entity.provider,
            "model": entity.model,
        }
        dimensions = {name: part for name, part in parts.items() if part}
        for metric, value, band in zip(SUMMARY_METRICS, values, bands, strict=True):
            if isnan(value):
                continue
            middle, low, high = band[i]
            is_known = not isnan(middle)
            yield Summary(
                metric_name=metric.name,
                timestamp=timestamp,
                window_end=window_end,
                window_duration=level,
                aggregation=metric.aggregation,
                value=value,
                unit=metric.unit,
                entity=entity,
                dimensions=dimensions,
                expected=middle if is_known else None,
                expected_low=low if is_known else None,
                expected_high=high if is_known else None,
                sample_count=int(volume),
            )
