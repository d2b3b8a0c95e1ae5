"""Watch: the rules on one kind of observation, with what they remember of every entity."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.anomaly import Entity, EntityType
from schemas.rule import Match, Rule, Threshold
from udfs.entity import entity_of
from udfs.identity import digest
from udfs.kernels import Floats, Integers
from udfs.rules.checks import duration_ms
from udfs.rules.holding import HOLDING_WIDTH, LAST_AT, follow, hold
from udfs.rules.predicate import Columns, deciding, holds
from udfs.series_state import Block, Layout, Segment, SeriesState

PREFIX = "rule/"
"""Names of rules' stores begin with this."""
IDLE_MS = 86_400_000
"""What a rule remembers of an entity is dropped a day after it was last seen."""
_FOREVER_MS = 1 << 62
_VERSION = 1


class Hit(NamedTuple):
    """One thing that a rule has to say."""

    rule: Rule
    observation: int
    entity: Entity
    at_ms: int
    evidence: tuple[Threshold, float] | None
    """The threshold that was met first, and by what; None for texts and negations."""


class RuleWatch:
    """Evaluates the rules in force on one kind of observation of one kind of entity."""

    def __init__(self, on: str, kind: EntityType, length_ms: int, stored: Iterable[tuple[int, Segment]]) -> None:
        """Take what is observed, the length of its windows (0 for events), and everything stored."""
        self._on, self._kind, self._length_ms = on, kind, length_ms
        self._place = f"{PREFIX}{on}/{kind.value}/"
        self._stored = [each for each in stored if each[1].store.startswith(self._place)]
        self._running: dict[str, _Running] = {}

    def __bool__(self) -> bool:
        """Whether there is any rule to evaluate."""
        return bool(self._running)

    @property
    def stored_bytes(self) -> int:
        """Bytes of what is remembered, as it is stored."""
        return sum(running.state.stored_bytes for running in self._running.values())

    def take(self, rules: Mapping[str, Sequence[Rule]]) -> None:
        """Take the versions of every rule, by its id, in the order of their `effective_at_ms`."""
        running: dict[str, _Running] = {}
        for versions in rules.values():
            ends = [*(each.effective_at_ms for each in versions[1:]), _FOREVER_MS]
            for rule, until_ms in zip(versions, ends, strict=True):
                if rule.enabled and rule.on == self._on and rule.entity == self._kind.value:
                    # A rule that reads differently remembers nothing of the one before it.
                    name = f"{self._place}{rule.rule_id}/{digest(repr(rule))}"
                    known = self._running.get(name) or _Running(rule, self._kind, self._length_ms, name, self._stored)
                    known.until_ms = until_ms
                    running[name] = known
        self._stored = []
        self._running = running

    def observe(self, keys: Sequence[str], at_ms: Integers, columns: Columns) -> Iterator[Hit]:
        """Evaluate every rule on observations, in order; an empty key is nobody's."""
        for running in self._running.values():
            yield from running.observe(keys, at_ms, columns)

    def forget_idle(self, at_ms: int) -> None:
        """Drop what rules remember of entities that have not been seen for long."""
        for running in self._running.values():
            state = running.state
            state.forget(np.flatnonzero(state.values[: len(state), LAST_AT] < at_ms - IDLE_MS).tolist())

    def states(self) -> list[SeriesState]:
        """Return what is to be stored."""
        return [running.state for running in self._running.values()]


class _Running:
    """One version of a rule, with its state."""

    def __init__(
        self, rule: Rule, kind: EntityType, length_ms: int, name: str, stored: Iterable[tuple[int, Segment]]
    ) -> None:
        self.rule = rule
        self.until_ms = _FOREVER_MS
        self.state = SeriesState(name, Layout([Block("rule", _VERSION, HOLDING_WIDTH)]), stored)
        self._kind, self._length_ms = kind, length_ms
        self._for_ms = duration_ms(rule.for_duration or "0s")
        self._within_ms = duration_ms(rule.within or "0s")
        self._refractory_ms = duration_ms(rule.refractory)
        self._counts = np.array([step.count for step in rule.sequence], dtype=np.int64)
        # A condition that need not last is of interest only where it holds.
        self._is_instant = not rule.sequence and rule.consecutive == 1 and self._for_ms == 0
        self._matches: dict[str, bool] = {}

    def observe(self, keys: Sequence[str], at_ms: Integers, columns: Columns) -> Iterator[Hit]:
        """Evaluate the rule."""
        rule = self.rule
        # A window counts whole, so it must have begun when the rule came into force.
        chosen: NDArray[np.bool_] = (at_ms - self._length_ms >= rule.effective_at_ms) & (at_ms < self.until_ms)
        if not chosen.any():
            return
        conditions = [rule.when] if rule.when is not None else [step.when for step in rule.sequence]
        truth = np.column_stack([holds(condition, columns) for condition in conditions])
        if self._is_instant:
            chosen = chosen & truth[:, 0]
        places = [i for i in np.flatnonzero(chosen).tolist() if keys[i] and self._is_meant(keys[i])]
        if not places:
            return
        rows, told = self.state.rows([keys[i] for i in places]), np.empty(len(places), dtype=np.int64)
        count = self._advance(rows, at_ms[places], truth[places].astype(np.float64), told)
        for place in (places[k] for k in told[:count].tolist()):
            evidence = deciding(conditions[-1], columns, place)
            yield Hit(rule, place, entity_of(self._kind, keys[place]), int(at_ms[place]), evidence)

    def _advance(self, rows: Integers, at_ms: Integers, truth: Floats, told: Integers) -> int:
        states = self.state.values
        if self.rule.sequence:
            return follow(states, rows, at_ms, truth, self._counts, self._within_ms, self._refractory_ms, told)
        first = np.ascontiguousarray(truth[:, 0])
        return hold(
            states,
            rows,
            at_ms,
            first,
            self._length_ms,
            self._for_ms,
            self.rule.consecutive,
            self._refractory_ms,
            told,
        )

    def _is_meant(self, key: str) -> bool:
        known = self._matches.get(key)
        if known is None:
            if len(self._matches) > 100_000:  # noqa: PLR2004 - a cache, not a register
                self._matches.clear()
            known = self._matches[key] = matches(self.rule.match, entity_of(self._kind, key))
        return known


def matches(match: Match, entity: Entity) -> bool:
    """Return whether a rule applies to an entity; a part that the entity does not have matches only an empty list."""
    parts = (
        (match.tenant_ids, entity.tenant_id),
        (match.application_ids, entity.application_id),
        (match.providers, entity.provider),
        (match.models, entity.model),
    )
    return all(not wanted or part in wanted for wanted, part in parts)
