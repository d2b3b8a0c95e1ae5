"""Results: anomalies and incidents as they come out of Kafka."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import msgspec
from confluent_kafka import Consumer, TopicPartition

from jobs.errors import SentinelError
from jobs.topics import ANOMALIES, INCIDENTS
from schemas.anomaly import Anomaly
from schemas.incident import Incident

_AT_ONCE = 500
_TYPES: dict[str | None, type[Anomaly | Incident]] = {ANOMALIES.name: Anomaly, INCIDENTS.name: Incident}


class Results:
    """Reads both topics from their beginning, and keeps everything: a repeat of an anomaly once."""

    def __init__(self, consumer: Consumer) -> None:
        self.anomalies: dict[str, Anomaly] = {}
        self.incidents: list[Incident] = []
        """Every state of every incident."""
        self._consumer = consumer

    def read(self, timeout_s: float) -> list[Anomaly | Incident]:
        """Return what is new, within a time. Raises SentinelError if Kafka does not hand it out."""
        news: list[Anomaly | Incident] = []
        for message in self._consumer.consume(_AT_ONCE, timeout=timeout_s):
            if message.error() is not None:
                raise SentinelError(f"Kafka does not hand out {message.topic()}: {message.error()}.")
            value = message.value()
            if value is None:
                continue
            found = msgspec.json.decode(value, type=_TYPES[message.topic()])
            if isinstance(found, Incident):
                self.incidents.append(found)
            elif found.anomaly_id in self.anomalies:
                continue
            else:
                self.anomalies[found.anomaly_id] = found
            news.append(found)
        return news


@contextmanager
def read_results(bootstrap_servers: str) -> Iterator[Results]:
    """Yield the results on a broker."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "sentinel-demo"})
    with closing(consumer):
        consumer.assign(
            [
                TopicPartition(topic.name, partition, 0)
                for topic in (ANOMALIES, INCIDENTS)
                for partition in range(topic.partitions)
            ]
        )
        yield Results(consumer)
