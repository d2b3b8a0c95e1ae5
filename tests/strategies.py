"""Hypothesis strategies for every record of `schemas`: all that a decoder accepts, and nothing it would refuse."""

import base64
import string
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.action import Action, ActionKind, ActionTarget
from schemas.alert import (
    ActiveHours,
    Aggregate,
    AlertAction,
    AlertAggregation,
    AlertDefinition,
    AlertFilters,
    AlertSchedule,
    AlertThrottling,
    AnomalyTrigger,
    MetricTrigger,
    PatternTrigger,
)
from schemas.alert_change import AlertChange, AlertState
from schemas.anomaly import (
    ActionTaken,
    Anomaly,
    AnomalyContext,
    AnomalyStatus,
    DetectorType,
    Direction,
    Entity,
    EntityType,
    Expected,
    Moved,
    Severity,
)
from schemas.dead_letter import DeadLetter, RejectReason
from schemas.feedback import Feedback
from schemas.incident import Incident, IncidentStatus
from schemas.model import ITEM_BYTES, ModelScope, PackedArray, PublishedModel, Training
from schemas.rule import All, Condition, Match, Not, Operator, Pattern, Rule, SequenceStep, Threshold
from schemas.rule import Any as AnyOf
from schemas.summary import Summary
from schemas.telemetry import (
    COST_MAX,
    COUNT_MAX,
    EARLIEST_AT_MS,
    LATEST_AT_MS,
    MILLISECONDS_MAX,
    Data,
    EventType,
    Guardrail,
    Metadata,
    Parameters,
    Source,
    Status,
    TelemetryEvent,
)
from schemas.time import from_at_ms

texts = st.text(st.characters(codec="utf-8"), max_size=20)
labels = st.text(st.characters(codec="utf-8", min_codepoint=0x20), max_size=20)
identifiers = st.text(st.characters(codec="utf-8", min_codepoint=0x20), min_size=1, max_size=20)
words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
totals = st.integers(0, 10**9)
at_ms = st.integers(EARLIEST_AT_MS, LATEST_AT_MS - 1)
instants = at_ms.map(from_at_ms)
durations = st.tuples(st.integers(0, 999), st.sampled_from(["ms", "s", "m", "h", "d"])).map(lambda d: f"{d[0]}{d[1]}")
alert_durations = st.tuples(st.integers(1, 999), st.sampled_from("smhd")).map(lambda d: f"{d[0]}{d[1]}")
json_values: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(texts, parts, max_size=3),
    max_leaves=6,
)


def maybe(values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Return a strategy for a value or None."""
    return st.none() | values


def several(values: SearchStrategy[Any], most: int = 3) -> SearchStrategy[tuple[Any, ...]]:
    """Return a strategy for a short tuple."""
    return st.lists(values, max_size=most).map(tuple)


counts = maybe(st.integers(0, COUNT_MAX))
milliseconds = maybe(st.floats(0, MILLISECONDS_MAX))
free_objects = maybe(st.dictionaries(texts, json_values, max_size=2))
text_maps = maybe(st.dictionaries(texts, texts, max_size=2))

sources = st.builds(Source, service=identifiers, host=labels, version=maybe(labels))
parameters = st.builds(Parameters, temperature=maybe(numbers), max_tokens=counts, top_p=maybe(numbers))
guardrails = st.builds(
    Guardrail, verdict=maybe(labels), category=maybe(labels), action=maybe(labels), score=maybe(numbers)
)
facts = st.builds(
    Data,
    provider=maybe(labels),
    operation=maybe(labels),
    model=maybe(labels),
    response_model=maybe(labels),
    status=maybe(st.sampled_from(Status)),
    error_type=maybe(labels),
    latency_ms=milliseconds,
    ttft_ms=milliseconds,
    stream=maybe(st.booleans()),
    prompt_tokens=counts,
    completion_tokens=counts,
    total_tokens=counts,
    cached_tokens=counts,
    cost=maybe(st.floats(0, COST_MAX)),
    finish_reason=maybe(labels),
    prompt=maybe(texts),
    response_length=counts,
    parameters=maybe(parameters),
    guardrail=maybe(guardrails),
    metric_name=identifiers,
    value=maybe(numbers),
    dimensions=text_maps,
    context=free_objects,
)
metadata = st.builds(
    Metadata,
    user_id=maybe(labels),
    session_id=maybe(labels),
    environment=maybe(labels),
    tags=text_maps,
    attributes=free_objects,
)
telemetry_events = st.builds(
    TelemetryEvent,
    event_id=identifiers,
    timestamp=instants,
    source=sources,
    event_type=st.sampled_from(EventType),
    application_id=identifiers,
    data=facts,
    schema_version=st.just("1.0"),
    tenant_id=maybe(labels),
    correlation_id=maybe(labels),
    trace_id=maybe(labels),
    span_id=maybe(labels),
    metadata=maybe(metadata),
)

entities = st.builds(
    Entity, type=st.sampled_from(EntityType), id=words, name=texts, tenant_id=texts, provider=texts, model=texts
)
number_maps = st.dictionaries(words, numbers, max_size=3)
anomalies = st.builds(
    Anomaly,
    anomaly_id=words,
    timestamp=instants,
    detector_id=words,
    detector_type=st.sampled_from(DetectorType),
    severity=st.sampled_from(Severity),
    score=shares,
    status=st.sampled_from(AnomalyStatus),
    raw_score=st.floats(0, 1e300),
    tenant_id=maybe(texts),
    application_id=maybe(texts),
    title=texts,
    affected_entity=entities,
    metric=words,
    direction=st.sampled_from(Direction),
    observed=maybe(numbers),
    expected=st.builds(Expected, value=maybe(numbers), low=maybe(numbers), high=maybe(numbers)),
    metrics=number_maps,
    sample_count=totals,
    volume=totals,
    context=st.builds(
        AnomalyContext, window_start=maybe(instants), window_end=maybe(instants), sample_events=several(words)
    ),
    contributors=number_maps,
    trace_ids=several(words),
    fingerprint=words,
    actions_taken=several(st.builds(ActionTaken, action=words, target=texts, status=words, timestamp=instants), 1),
    explanation=texts,
    moved=several(
        st.builds(
            Moved, dimension=st.sampled_from(["tenant", "application", "model", "user"]), value=texts, share=shares
        )
    ),
)
incidents = st.builds(
    Incident,
    incident_id=words,
    tenant_id=maybe(texts),
    scope=words,
    status=st.sampled_from(IncidentStatus),
    severity=st.sampled_from(Severity),
    severity_score=st.floats(0, 100),
    title=texts,
    description=texts,
    opened_at=instants,
    updated_at=instants,
    closed_at=maybe(instants),
    expires_at=instants,
    revision=st.integers(1, 10**6),
    anomaly_count=totals,
    anomaly_ids=several(words),
    entities=several(entities, 2),
    detectors=several(words),
    metrics=several(words),
    contributors=number_maps,
    parent_incident_id=maybe(words),
)
summaries = st.builds(
    Summary,
    metric_name=words,
    timestamp=instants,
    window_end=instants,
    window_duration=durations,
    aggregation=st.sampled_from(["avg", "sum", "min", "max", "count", "rate", "p50", "p95", "p99"]),
    value=numbers,
    unit=words,
    entity=entities,
    dimensions=st.dictionaries(words, texts, max_size=2),
    expected=maybe(numbers),
    expected_low=maybe(numbers),
    expected_high=maybe(numbers),
    sample_count=totals,
    completeness=shares,
)
dead_letters = st.builds(
    DeadLetter,
    dead_letter_id=words,
    reason=st.sampled_from(RejectReason),
    detail=texts,
    topic=words,
    partition=st.integers(0, 1000),
    offset=totals,
    timestamp=instants,
    payload_base64=st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode()),
    key_base64=maybe(st.binary(max_size=10).map(lambda raw: base64.b64encode(raw).decode())),
)


feedback = st.builds(
    Feedback,
    anomaly_id=words,
    verdict=st.sampled_from(["true", "false"]),
    given_at=instants,
    note=texts,
    given_by=texts,
    timestamp=instants,
    detector_id=words,
    detector_version=words,
    tenant_id=maybe(labels),
    entity_id=words,
    metric=words,
    severity=st.sampled_from(Severity),
    raw_score=st.floats(0, 1e12),
)

alert_changes = st.builds(
    AlertChange,
    change_id=words,
    fingerprint=st.text("0123456789abcdef", min_size=16, max_size=16),
    state=st.sampled_from(AlertState),
    previous=maybe(st.sampled_from(AlertState)),
    at=instants,
    by=texts,
    tenant_id=maybe(labels),
    labels=st.dictionaries(texts, texts, max_size=3),
    annotations=st.dictionaries(texts, texts, max_size=2),
    starts_at=instants,
    ends_at=maybe(instants),
    generator_url=texts,
)

actions = st.builds(
    Action,
    action_id=words,
    action=st.sampled_from(ActionKind),
    target=st.builds(ActionTarget, tenant_id=texts, application_id=texts, provider=texts, model=texts, user_id=texts),
    at=instants,
    expires_at=instants,
    limit=maybe(st.integers(1, 2**31)),
    per_s=maybe(st.integers(1, 604_800)),
    alert_id=texts,
    fingerprint=texts,
    reason=texts,
)

matches = st.builds(Match, tenant_ids=several(words), application_ids=several(words), models=several(words))
conditions: SearchStrategy[Condition] = st.recursive(
    st.builds(Threshold, metric=words, operator=st.sampled_from(Operator), value=numbers)
    | st.builds(Pattern, field=words, regex=words),
    lambda parts: st.builds(All, of=several(parts)) | st.builds(AnyOf, of=several(parts)) | st.builds(Not, of=parts),
    max_leaves=5,
)
_rule_parts: dict[str, SearchStrategy[Any]] = {
    "rule_id": words,
    "name": texts,
    "enabled": st.booleans(),
    "on": st.sampled_from(["event", "1s", "10s", "1m"]),
    "entity": st.sampled_from(["model", "user", "tenant_provider", "provider"]),
    "match": matches,
    "for_duration": maybe(durations),
    "consecutive": st.integers(1, 1000),
    "severity": st.sampled_from(Severity),
    "refractory": durations,
    "effective_at_ms": at_ms,
}
rules = st.builds(Rule, when=conditions, **_rule_parts) | st.builds(
    Rule,
    sequence=st.lists(st.builds(SequenceStep, when=conditions, count=st.integers(1, 9)), min_size=1, max_size=3).map(
        tuple
    ),
    within=durations,
    **_rule_parts,
)

_filters = st.builds(
    AlertFilters,
    severity=several(st.sampled_from(Severity)),
    detector_ids=several(words),
    application_ids=several(words),
    score_threshold=shares,
)
_aggregations = st.builds(
    AlertAggregation, window=alert_durations, function=st.sampled_from(Aggregate), threshold=numbers
)
_hours = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda time: f"{time[0]:02d}:{time[1]:02d}")
alert_definitions = st.builds(
    AlertDefinition,
    alert_id=words,
    name=st.text(min_size=1, max_size=20),
    enabled=st.booleans(),
    conditions=st.builds(AnomalyTrigger, filters=_filters, aggregation=maybe(_aggregations))
    | st.builds(MetricTrigger, metric=words, aggregation=_aggregations)
    | st.builds(PatternTrigger, field=words, regex=words, filters=_filters),
    actions=st.lists(
        st.builds(
            AlertAction,
            type=st.sampled_from(["notification", "shield", "webhook", "incident"]),
            config=st.dictionaries(words, json_values, max_size=2),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    throttling=maybe(st.builds(AlertThrottling, max_frequency=alert_durations, grouping=several(words))),
    schedule=maybe(
        st.builds(
            AlertSchedule,
            timezone=st.sampled_from(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"]),
            active_hours=maybe(st.builds(ActiveHours, start=_hours, end=_hours | st.just("24:00"))),
            days_of_week=several(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])),
        )
    ),
)


@st.composite
def packed_arrays(draw: st.DrawFn) -> PackedArray:
    """Return a strategy for an array of any kind with at most 27 items."""
    shape = draw(several(st.integers(0, 3)))
    item = draw(st.sampled_from(sorted(ITEM_BYTES)))
    size = ITEM_BYTES[item]
    for length in shape:
        size *= length
    return PackedArray(shape=shape, dtype=item, values=draw(st.binary(min_size=size, max_size=size)))


published_models = st.builds(
    PublishedModel,
    model_id=identifiers,
    detector_id=identifiers,
    kind=st.sampled_from(["isolation_forest", "autoencoder"]),
    version=words,
    trained_at=instants,
    effective_at_ms=at_ms,
    scope=st.builds(ModelScope, entity=st.sampled_from(EntityType), match=matches),
    metrics=st.lists(words, min_size=1, max_size=4).map(tuple),
    arrays=st.dictionaries(words, packed_arrays(), max_size=2),
    training=st.builds(
        Training,
        samples=totals,
        from_at_ms=at_ms,
        to_at_ms=at_ms,
        score_quantiles=several(st.tuples(shares, numbers)),
    ),
)
