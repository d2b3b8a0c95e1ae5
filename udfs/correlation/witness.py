"""Witness: what correlation keeps of an anomaly, or of several that repeat one another."""

from enum import StrEnum
from hashlib import blake2b
from typing import TypeVar
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from schemas.anomaly import Anomaly, DetectorType, Direction, EntityType, Severity
from schemas.time import to_at_ms
from udfs.entity import UNKNOWN

T = TypeVar("T")

MAX_IDS = 3
MAX_CALLS = 4
MAX_TRACES = 3

WARNING_STRENGTH, WARNING_SPAN = 0.45, 0.08
"""A warning is worth 0.45 to 0.53. The upper end is the largest value (to two digits) at which one witness, however
often it repeats, stays below the opening score: 1 - (1 - 0.53) * 0.97**5 = 0.596 < 0.60."""
CRITICAL_STRENGTH, CRITICAL_SPAN = 0.85, 0.10
"""A critical anomaly is worth 0.85 to 0.95: alone it opens a critical incident, and it is never certainty."""
INFO_STRENGTH, INFO_SPAN = 0.05, 0.10
LONE_EVENT_STRENGTH = 0.58
"""A critical score on one single event that is not extreme: just below the opening score, since latencies, tokens and
costs of single calls have heavy tails. Any second witness opens."""

LASTING = frozenset({DetectorType.RULE, DetectorType.BEHAVIORAL})
"""Detectors whose anomaly at a single event is not about that event alone: a rule says what someone meant by it, and
behaviour is a habit, such as a user's rate of calls, that was held against many events."""


class Concern(StrEnum):
    """What kind of trouble a metric speaks of; it decides who may be the cause of it."""

    SERVICE = "service"
    """Slow or failing calls, or traffic that dries up: the cause lies with the provider or the model."""
    LOAD = "load"
    """More calls, tokens or cost: the cause lies with the caller."""
    CONTENT = "content"
    """What was said: prompt injection, leakage. It is shared by nobody and never explained by an outage."""
    OTHER = "other"


SHARED_CONCERNS = frozenset({Concern.SERVICE, Concern.LOAD})
"""Concerns that applications can have in common because of the provider."""

FAMILY_BY_PREFIX = (
    ("latency", "latency"),
    ("ttft", "latency"),
    ("error", "errors"),
    ("call", "load"),
    ("prompt_tokens", "load"),
    ("completion_tokens", "load"),
    ("total_tokens", "load"),
    ("tokens", "load"),
    ("cost", "load"),
    ("guardrail", "content"),
    ("text", "content"),
)
"""Metrics that are derived from one another are one family: mean and p95 of the same calls, tokens and their cost."""


class Place(Struct, frozen=True, array_like=True):
    """Where a witness stands: an `Entity` without its tenant, which is the key."""

    type: str
    id: str
    name: str
    application: str
    provider: str
    model: str
    user: str

    @property
    def shared_provider(self) -> str:
        """The provider that other applications may have in common with this place; empty if none is known."""
        return "" if self.provider == UNKNOWN and self.application else self.provider

    def is_within(self, scope: str) -> bool:
        """Whether the place is a part of a scope; a summary over all applications is a part of any."""
        if not self.application or scope.startswith("tenant:"):
            return True
        return scope in {
            user_scope(self.application, self.user),
            application_scope(self.application),
            provider_scope(self.provider),
        }


class Witness(Struct, frozen=True, array_like=True):
    """One detector's testimony on one metric of one entity at one window length.

    `strength` in (0, 1) is how sure a single such anomaly makes us that something is wrong; `count` is how many
    anomalies said the same; `onset_ms` is the middle of the earliest window, since a window's end names it too late and
    its start too early; `calls` are digests of the events and traces in evidence. About 300 bytes encoded.
    """

    detector_id: str
    detector_type: str
    metric: str
    family: str
    concern: str
    place: Place
    level_ms: int
    """Length of the window; 0 for a single event."""
    strength: float
    is_info: bool
    count: int
    first_at_ms: int
    last_at_ms: int
    onset_ms: int
    ids: tuple[str, ...]
    calls: tuple[int, ...]
    traces: tuple[str, ...]

    @property
    def is_weak(self) -> bool:
        """Whether this is a warning, a lone event, or less."""
        return self.strength < CRITICAL_STRENGTH

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Anomalies with the same key are one witness who repeats itself."""
        return (self.detector_id, self.metric, self.place.id, self.level_ms)


def digest(text: str) -> int:
    """Return 64 bits of a text that are the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def application_scope(application: str) -> str:
    """Return the scope of an application."""
    return f"application:{application}"


def provider_scope(provider: str) -> str:
    """Return the scope of a provider."""
    return f"provider:{provider}"


def user_scope(application: str, user: str) -> str:
    """Return the scope of a user of an application; both parts are percent-encoded."""
    return f"user:{quote(application, safe='')}/{quote(user, safe='')}"


def family_of(metric: str, detector_id: str) -> str:
    """Return the family of a metric; a metric nobody knows is its own, an anomaly without one its detector's."""
    for prefix, family in FAMILY_BY_PREFIX:
        if metric.startswith(prefix):
            return family
    return metric or detector_id


def concern_of(family: str, direction: Direction) -> Concern:
    """Return the concern of a family on one side of what was expected."""
    if family in {"latency", "errors"}:
        return Concern.SERVICE
    if family == "load":
        return Concern.SERVICE if direction is Direction.LOW else Concern.LOAD
    return Concern.CONTENT if family == "content" else Concern.OTHER


def strength_of(anomaly: Anomaly, level_ms: int, lone_event_score: float) -> float:
    """Return how sure one anomaly alone makes us, in (0, 1): its severity decides, its score refines."""
    score = min(max(anomaly.score, 0.0), 1.0)
    if anomaly.severity is Severity.CRITICAL:
        is_lone = level_ms == 0 and anomaly.volume <= 1 and anomaly.detector_type not in LASTING
        if is_lone and score < lone_event_score:
            return LONE_EVENT_STRENGTH
        return CRITICAL_STRENGTH + CRITICAL_SPAN * score
    if anomaly.severity is Severity.WARNING:
        return WARNING_STRENGTH + WARNING_SPAN * score
    return INFO_STRENGTH + INFO_SPAN * score


def place_of(anomaly: Anomaly) -> Place:
    """Return where an anomaly stands; what belongs to no application and no provider is an application of its own."""
    entity = anomaly.affected_entity
    application = entity.application_id or anomaly.application_id or ""
    if not application and entity.type not in {EntityType.PROVIDER, EntityType.TENANT_PROVIDER}:
        application = entity.id
    return Place(entity.type, entity.id, entity.name, application, entity.provider, entity.model, entity.user_id)


def instant_of(anomaly: Anomaly, text: str | None = None) -> int:
    """Return one of an anomaly's times in milliseconds since the epoch; its timestamp if none is given.

    Raises ValueError, naming the anomaly, if it is no RFC 3339 text.
    """
    try:
        return to_at_ms(text or anomaly.timestamp)
    except ValueError as error:
        raise ValueError(f"anomaly {anomaly.anomaly_id}: {error}; times must be RFC 3339 texts") from None


def witness_of(anomaly: Anomaly, lone_event_score: float) -> Witness:
    """Return the witness an anomaly makes.

    Raises ValueError, naming the anomaly, if one of its times is no RFC 3339 text.
    """
    context = anomaly.context
    at_ms = instant_of(anomaly)
    level_ms = 0
    if context.window_start and context.window_end:
        level_ms = max(0, instant_of(anomaly, context.window_end) - instant_of(anomaly, context.window_start))
    family = family_of(anomaly.metric, anomaly.detector_id)
    return Witness(
        detector_id=anomaly.detector_id,
        detector_type=anomaly.detector_type,
        metric=anomaly.metric,
        family=family,
        concern=concern_of(family, anomaly.direction),
        place=place_of(anomaly),
        level_ms=level_ms,
        strength=strength_of(anomaly, level_ms, lone_event_score),
        is_info=anomaly.severity is Severity.INFO,
        count=1,
        first_at_ms=at_ms,
        last_at_ms=at_ms,
        onset_ms=at_ms - level_ms // 2,
        ids=(anomaly.anomaly_id,),
        calls=tuple(map(digest, (anomaly.trace_ids[:2] + context.sample_events)[:MAX_CALLS])),
        traces=anomaly.trace_ids[:MAX_TRACES],
    )


def joined(left: Witness, right: Witness) -> Witness:
    """Return one witness for two with the same key: the strength of the stronger, the count of both."""
    return replace(
        left,
        strength=max(left.strength, right.strength),
        is_info=left.is_info and right.is_info,
        count=left.count + right.count,
        first_at_ms=min(left.first_at_ms, right.first_at_ms),
        last_at_ms=max(left.last_at_ms, right.last_at_ms),
        onset_ms=min(left.onset_ms, right.onset_ms),
        ids=union(left.ids, right.ids, MAX_IDS),
        calls=union(left.calls, right.calls, MAX_CALLS),
        traces=union(left.traces, right.traces, MAX_TRACES),
    )


def union(left: tuple[T, ...], right: tuple[T, ...], limit: int) -> tuple[T, ...]:
    """Return what stands in either, in order of appearance, at most `limit` of them."""
    return tuple(dict.fromkeys(left + right))[:limit]
