"""Rule as users write it: data, not code. Kept in `sentinel.config` under the key `rule/<rule_id>`.

Unknown keys are errors. Durations are texts of digits and a unit (`30s`, `5m`, `1h`).
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.anomaly import Severity

Duration = Annotated[str, Meta(pattern=r"^[0-9]+(ms|s|m|h|d)$")]


class Operator(StrEnum):
    """Comparison of a metric or field with a constant."""

    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    EQ = "eq"
    NE = "ne"


class Threshold(Struct, frozen=True, kw_only=True, tag="threshold", forbid_unknown_fields=True):
    """True where a published metric of a summary (`on: 1s|10s|1m`) or event (`on: event`) compares with `value`."""

    metric: str
    operator: Operator
    value: float


class Pattern(Struct, frozen=True, kw_only=True, tag="pattern", forbid_unknown_fields=True):
    """True where a text field of an event matches a regular expression (searched, not anchored)."""

    field: str
    regex: Annotated[str, Meta(max_length=1000)]


class All(Struct, frozen=True, kw_only=True, tag="all", forbid_unknown_fields=True):
    """True where every part is."""

    of: "tuple[Condition, ...]"


class Any(Struct, frozen=True, kw_only=True, tag="any", forbid_unknown_fields=True):
    """True where at least one part is."""

    of: "tuple[Condition, ...]"


class Not(Struct, frozen=True, kw_only=True, tag="not", forbid_unknown_fields=True):
    """True where its part is not (and the metric is present)."""

    of: "Condition"


Condition = Threshold | Pattern | All | Any | Not


class SequenceStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a sequence: `count` events or windows that meet `when`."""

    when: Condition
    count: Annotated[int, Meta(ge=1, le=1000)] = 1


class Match(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To which entities a rule applies; an empty tuple means all. Plain values, no patterns."""

    tenant_ids: tuple[str, ...] = ()
    application_ids: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A predicate on events or summaries, for how long it has to hold, and what it is worth.

    Exactly one of `when` and `sequence` is set. `for_duration` (summaries) or `consecutive` (both) must hold without a
    gap. `sequence` steps follow one another, per entity, `within` a span of event time.
    """

    rule_id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: str = ""
    enabled: bool = True
    on: Annotated[str, Meta(pattern=r"^(event|1s|10s|1m)$")] = "1m"
    entity: Annotated[str, Meta(pattern=r"^(model|user|tenant_provider|provider)$")] = "model"
    match: Match = Match()
    when: Condition | None = None
    sequence: tuple[SequenceStep, ...] = ()
    within: Duration | None = None
    for_duration: Duration | None = None
    consecutive: Annotated[int, Meta(ge=1, le=1000)] = 1
    severity: Severity = Severity.WARNING
    refractory: Duration = "5m"
    """After an anomaly the rule stays quiet for this long, per entity, in event time."""
    effective_at_ms: Annotated[int, Meta(ge=0)] = 0
    """Event time from which the rule holds."""
    version: str = "1"
