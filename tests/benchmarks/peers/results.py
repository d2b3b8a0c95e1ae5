"""Results: what peers write, read while they write it."""

from collections.abc import Iterator
from typing import Self

import msgspec
from confluent_kafka import Consumer, TopicPartition
from msgspec import Struct

from jobs.errors import SentinelError
from jobs.topics import TELEMETRY
from tests.benchmarks.peers.verdict import Result

_TIMEOUT_S = 30.0
_AT_ONCE = 5_000


class _Context(Struct, frozen=True):
    sample_events: tuple[str, ...] = ()


class _Told(Struct):
    """A result of a peer, which names its call, or an anomaly of LLM-Sentinel, which has it among its evidence."""

    event_id: str | None = None
    detector: str = ""
    metric: str = ""
    anomaly_id: str | None = None
    context: _Context = _Context()


class Results:
    """Reads a topic of results, from where it ends now."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": "sentinel-bench", "log_level": 2}
        )
        places = [TopicPartition(topic, number) for number in range(TELEMETRY.partitions)]
        for place in places:
            _, place.offset = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
        self._consumer.assign(places)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self, wait_s: float) -> list[Result]:
        """Return what has come, after at most this time."""
        results: list[Result] = []
        while messages := self._consumer.consume(_AT_ONCE, timeout=wait_s):
            wait_s = 0.0
            for message in messages:
                if message.error() is not None:
                    raise SentinelError(f"Kafka does not hand out results: {message.error()}.")
                results += told(message.value() or b"", message.timestamp()[1])
        return results


def told(value: bytes, appended_at_ms: int) -> Iterator[Result]:
    """Yield a result for each call that a record of any peer names."""
    one = _DECODER.decode(value)
    for event_id in (one.event_id,) if one.event_id else one.context.sample_events:
        yield Result(event_id, one.anomaly_id or f"{one.detector}/{one.metric}", appended_at_ms)


_DECODER = msgspec.json.Decoder(_Told)
