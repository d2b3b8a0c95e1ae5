"""Detection: everything one shard does with its records, and all it remembers.

A shard is one partition of the telemetry topic. Its event time is a function of its records alone: the watermark is the
newest event time less the bound. (When the broker took a record is a part of it: what lies too far ahead of that moves
nothing.) So the same records give the same anomalies, however they are cut into batches and however often the state is
stored and read again in between.
"""

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.anomaly import EntityType
from udfs.aggregates import APPLICATION_METRICS, CALL_METRICS, EVENT_METRICS, USER_METRICS
from udfs.anomalies import of_event
from udfs.control import Control
from udfs.entity import SEPARATOR
from udfs.findings import Findings
from udfs.habits import Habits
from udfs.intake import Calls, take
from udfs.journal import Journal
from udfs.key_table import KeyTable
from udfs.moved import Part
from udfs.provider_sums import ProviderSums
from udfs.recent_ids import RecentIds
from udfs.record_block import RecordBlock
from udfs.rules.anomaly import of_event_rule
from udfs.rules.predicate import Columns
from udfs.rules.watch import Hit, RuleWatch
from udfs.series_state import Block
from udfs.settings import DetectionSettings
from udfs.spanning import Share, SharedWindow
from udfs.store import Store
from udfs.window_detection import WindowDetection
from udfs.windows import CLOSED_WIDTH, LEVELS_MS, add_calls, close_windows, panes_for, windows_width

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PROGRESS = "progress"
_RECENT = "recent"
_SECOND_MS, _TEN_MS, _ = LEVELS_MS
_HOUR_MS = 3_600_000
_TEN = 1
_SPANNING = ("tenant_provider", "provider")
_TOKENS = [EVENT_METRICS.index("prompt_tokens"), EVENT_METRICS.index("completion_tokens")]
_COST = EVENT_METRICS.index("cost_usd")


class ShardDetection:
    """The detection of one shard. Not for use by two threads."""

    def __init__(
        self, settings: DetectionSettings, control: Control, partition: int, stored: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        """Take the settings, the rules and models in force, and everything stored for this shard."""
        self._journal = Journal(stored)
        everything = self._journal.segments()
        self._settings = settings
        self._control = control
        self._partition = partition
        self._panes = panes_for(settings.bound_ms)
        open_windows = Block("windows", self._panes, windows_width(self._panes))
        self._calls = Store(
            "event", EntityType.MODEL, CALL_METRICS, settings.detectors, everything, extra=[open_windows]
        )
        self._users = Store("event", EntityType.USER, USER_METRICS, settings.detectors, everything)
        self._applications = Store("event", EntityType.APPLICATION, APPLICATION_METRICS, settings.detectors, everything)
        self._stores = (self._calls, self._users, self._applications)
        self._habits = Habits(self._calls.state, self._applications.state)
        self._models, self._callers = KeyTable(self._calls.state), KeyTable(self._users.state)
        self._providers = ProviderSums(self._calls.state)
        self._windows = WindowDetection(settings, EntityType.MODEL, everything)
        self._call_rules = RuleWatch("event", EntityType.MODEL, 0, everything)
        self._user_rules = RuleWatch("event", EntityType.USER, 0, everything)
        self._explains = any(each.entity in _SPANNING for each in settings.detectors)
        self._control_version = -1
        self._told_generation, self._told = 0, 0
        own = self._journal.values
        progress = own.get(_PROGRESS)
        self._newest_at_ms = int.from_bytes(progress, "little") if progress else 0
        self._recent = RecentIds(own.get(_RECENT)) if settings.drop_repeats else None

    @property
    def watermark_ms(self) -> int:
        """Event time up to which everything has been seen; what comes behind it is late."""
        return self._newest_at_ms - self._settings.bound_ms

    @property
    def series(self) -> int:
        """Entities that have state: applications on a provider and model."""
        return len(self._calls.state)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all state, as it is stored."""
        rules = self._call_rules.stored_bytes + self._user_rules.stored_bytes
        return sum(each.state.stored_bytes for each in self._stores) + self._windows.stored_bytes + rules

    def on_records(self, records: RecordBlock) -> Findings:
        """Take records in offset order and return what was found."""
        findings = Findings()
        if self._control.version != self._control_version:
            self._take_control()
        before_ms = self.watermark_ms
        shared: list[SharedWindow] = []
        intake = take(
            records,
            topic=self._settings.telemetry_topic,
            partition=self._partition,
            newest_at_ms=self._newest_at_ms,
            bound_ms=self._settings.bound_ms,
            telemetry_format=self._settings.telemetry_format,
            future_max_ms=self._settings.future_max_ms,
            recent=self._recent,
        )
        self._newest_at_ms = intake.newest_at_ms
        findings.dead_letters = intake.dead_letters
        findings.repeats = intake.repeats
        findings.late = [
            (f"{self._settings.telemetry_topic}-{self._partition}-{records.offsets[i]}", records.payload(i))
            for i in intake.late
        ]
        if len(intake.calls):
            shared += self._on_calls(intake.calls, findings)
        if self.watermark_ms // _SECOND_MS > before_ms // _SECOND_MS:
            shared += self._on_time(before_ms, findings)
        if shared or self.watermark_ms // _TEN_MS > before_ms // _TEN_MS:
            # One share for the batch: progress may be told only with everything that lies before it.
            share = Share(self._partition, self.watermark_ms, shared, self._untold_applications())
            findings.shares.append(msgspec.json.encode(share).decode())
        return findings

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Return what is to be stored, key and bytes, since the last call."""
        values = {_PROGRESS: self._newest_at_ms.to_bytes(8, "little")}
        if self._recent is not None:
            self._recent.forget(self.watermark_ms)
            values[_RECENT] = self._recent.store()
        states = [*(each.state for each in self._stores), *self._windows.states()]
        states += [*self._call_rules.states(), *self._user_rules.states()]
        return self._journal.write(states, values)

    def _untold_applications(self) -> list[str]:
        """Return the applications that have state here and were not told of since this shard began."""
        state = self._calls.state
        if state.generation != self._told_generation:
            self._told_generation, self._told = state.generation, 0
        keys = state.keys[self._told :]
        self._told = len(state.keys)
        return sorted({SEPARATOR.join(key.split(SEPARATOR)[2:]) for key in keys})

    def _take_control(self) -> None:
        """Take the rules and models in force."""
        self._control_version = self._control.version
        for store in self._stores:
            store.take_models(self._control.models)
        for rules in (self._call_rules, self._user_rules):
            rules.take(self._control.rules)
        self._windows.take(self._control)

    def _on_calls(self, calls: Calls, findings: Findings) -> list[SharedWindow]:
        rows = self._models.rows(calls.source, calls.model_parts)
        values = np.column_stack([calls.values, calls.error])
        for flag in self._calls.observe(rows, calls.at_ms, values, np.ones(len(rows))):
            entity = self._calls.entity(int(rows[flag.observation]))
            findings.anomalies.append(of_event(flag, entity, calls.event(flag.observation)))
        self._on_applications(calls, rows, findings)
        self._on_users(calls, rows, findings)
        if self._call_rules or self._user_rules:
            columns = Columns(CALL_METRICS, values, calls.texts)
            hits: list[Hit] = []
            if self._call_rules:
                model_keys = [self._calls.state.keys[row] for row in rows.tolist()]
                hits += self._call_rules.observe(model_keys, calls.at_ms, columns)
            if self._user_rules:
                hits += self._user_rules.observe(calls.user_keys(), calls.at_ms, columns)
            findings.anomalies += [of_event_rule(hit, calls.event(hit.observation)) for hit in hits]
        # A call can close every open window of its key: the panes, ten seconds each, a minute each.
        closed = np.empty((len(rows) * (self._panes + 2) * 2, CLOSED_WIDTH))
        count = add_calls(
            self._open_windows(),
            self._panes,
            rows,
            calls.at_ms,
            calls.values,
            calls.error,
            self._settings.second_volume_min,
            closed,
        )
        return self._on_closed(closed[:count], findings)

    def _on_applications(self, calls: Calls, models: Integers, findings: Findings) -> None:
        if not self._applications.drivers:
            return
        rows, kinds = self._habits.rows(models), self._habits.kinds(models, calls.at_ms)
        for flag in self._applications.observe(rows, calls.at_ms, kinds, np.ones(len(rows))):
            entity = self._applications.entity(int(rows[flag.observation]))
            findings.anomalies.append(of_event(flag, entity, calls.event(flag.observation)))

    def _on_users(self, calls: Calls, models: Integers, findings: Findings) -> None:
        known = np.flatnonzero(calls.has_user)
        if not len(known) or not self._users.drivers:
            return
        rows = self._callers.rows(calls.source, calls.user_parts[known])
        tokens = calls.values[known][:, _TOKENS]
        calls_made, tokens_used = np.ones(len(known)), np.nansum(tokens, axis=1)
        cost = np.nan_to_num(calls.values[known, _COST])
        kinds = self._habits.kinds(models[known], calls.at_ms[known])
        added = np.column_stack([calls_made, tokens_used, cost, tokens, kinds])
        for flag in self._users.observe(rows, calls.at_ms[known], added, calls_made):
            entity = self._users.entity(int(rows[flag.observation]))
            findings.anomalies.append(of_event(flag, entity, calls.event(int(known[flag.observation]))))

    def _on_time(self, before_ms: int, findings: Findings) -> list[SharedWindow]:
        """Close what the watermark has passed, and say how far it has come."""
        keys = len(self._calls.state)
        closed = np.empty((keys * (self._panes * 2 + 4), CLOSED_WIDTH))
        count = close_windows(
            self._open_windows(), self._panes, keys, self.watermark_ms, self._settings.second_volume_min, closed
        )
        self._calls.state.touch(closed[:count, 0].astype(np.int64))
        findings.watermark_ms = self.watermark_ms
        shared = self._on_closed(closed[:count], findings)
        if self.watermark_ms // _TEN_MS > before_ms // _TEN_MS:
            self._windows.pass_time(self.watermark_ms, findings)
        if self.watermark_ms // _HOUR_MS > before_ms // _HOUR_MS:
            for part in (*self._stores, self._windows, self._call_rules, self._user_rules):
                part.forget_idle(self.watermark_ms)
        return shared

    def _on_closed(self, closed: Floats, findings: Findings) -> list[SharedWindow]:
        """Judge closed windows, and return the 10 s ones as parts of the windows that span shards."""
        shared: list[SharedWindow] = []
        if not len(closed):
            return shared
        keys = self._calls.state.keys
        for level in range(len(LEVELS_MS)):
            windows = closed[closed[:, 1] == level]
            rows, end_ms, aggregates = windows[:, 0].astype(np.int64), windows[:, 2].astype(np.int64), windows[:, 3:]
            names = [keys[row] for row in rows.tolist()]
            far: dict[int, list[Part]] | None = {} if level == _TEN and self._explains else None
            self._windows.observe(level, names, end_ms, aggregates, findings, far=far)
            if level == _TEN:
                shared += self._providers.add_up(rows, end_ms, aggregates, far or {})
        return shared

    def _open_windows(self) -> Floats:
        state = self._calls.state
        start = state.layout.offsets["windows"]
        return state.values[:, start : start + windows_width(self._panes)]
