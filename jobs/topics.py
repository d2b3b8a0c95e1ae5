"""The Kafka topics of LLM-Sentinel, created by `sentinel up` and by the tests."""

from dataclasses import dataclass, field
from typing import Final

_MEGABYTE: Final = 1024 * 1024
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's name, its number of partitions, and the broker's settings for it."""

    name: str
    partitions: int = 1
    config: dict[str, str] = field(default_factory=dict)


_COMPACTED: Final = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}

TELEMETRY: Final = Topic(
    # Keyed by tenant and application with murmur2, so that all events of a series are in one partition, in order.
    "llm-telemetry",
    partitions=4,
    config={
        "max.message.bytes": str(8 * _MEGABYTE),
        "retention.ms": str(_DAY_MS),
        # The broker's clock, not the producer's: it decides which events lie too far in the future.
        "message.timestamp.type": "LogAppendTime",
    },
)
ANOMALIES: Final = Topic("sentinel.anomalies", partitions=4, config={"retention.ms": str(7 * _DAY_MS)})
INCIDENTS: Final = Topic("sentinel.incidents", config=_COMPACTED)
SUMMARIES: Final = Topic("sentinel.summaries", partitions=4, config={"retention.ms": str(_DAY_MS)})
ALERTS: Final = Topic("sentinel.alerts", config={"retention.ms": str(7 * _DAY_MS)})
ACTIONS: Final = Topic("sentinel.actions", config={"retention.ms": str(30 * _DAY_MS)})
DEAD_LETTERS: Final = Topic(
    # Holds a refused event's bytes, encoded, and the reason around them: half as large again as the largest event.
    "sentinel.dead-letters",
    config={"max.message.bytes": str(12 * _MEGABYTE), "retention.ms": str(7 * _DAY_MS)},
)
LATE: Final = Topic(
    # The very bytes of late events, as large as telemetry may be.
    "sentinel.late",
    config={"max.message.bytes": str(8 * _MEGABYTE), "retention.ms": str(7 * _DAY_MS)},
)
CONFIG: Final = Topic("sentinel.config", config=_COMPACTED)
MODELS: Final = Topic("sentinel.models", config=_COMPACTED | {"max.message.bytes": str(12 * _MEGABYTE)})
FEEDBACK: Final = Topic("sentinel.feedback", config=_COMPACTED)

TOPICS: Final = (
    TELEMETRY,
    ANOMALIES,
    INCIDENTS,
    SUMMARIES,
    ALERTS,
    ACTIONS,
    DEAD_LETTERS,
    LATE,
    CONFIG,
    MODELS,
    FEEDBACK,
)
