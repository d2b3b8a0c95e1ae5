"""Records to Kafka: keys to partitions as the Java client does it, every refusal counted."""

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from jobs.errors import SentinelError
from jobs.replay.stream import Record

_FLUSH_S = 60.0
_POLL_EVERY = 256


class TopicWriter:
    """A producer for one topic. Order within a partition is kept; `close` returns when everything has arrived."""

    def __init__(self, bootstrap_servers: str, topic: str, *, linger_ms: int = 5, connect_s: float = 10.0) -> None:
        """Connect within `connect_s` seconds. Raises SentinelError if there is no broker or no topic."""
        self._refused: list[str] = []
        self._topic = topic
        self._servers = bootstrap_servers
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                # The Java client's partitioner, so that a series is in one partition whoever writes it.
                "partitioner": "murmur2_random",
                # Retries must not change the order of a partition: heartbeats promise that nothing older follows.
                "enable.idempotence": True,
                "linger.ms": linger_ms,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 500_000,
                "queue.buffering.max.kbytes": 262_144,
                "delivery.report.only.error": True,
                "log_level": 2,
            }
        )
        self.partitions = self._partition_count(connect_s)

    def write(self, records: Iterable[Record]) -> None:
        """Send the records. Raises SentinelError once one was refused."""
        for number, record in enumerate(records, start=1):
            self._send(record)
            if number % _POLL_EVERY == 0:
                self._producer.poll(0)
                self._raise_refusals()

    def close(self) -> None:
        """Wait until the broker has everything. Raises SentinelError if it does not take it."""
        left = self._producer.flush(_FLUSH_S)
        self._raise_refusals()
        if left:
            raise SentinelError(f"Kafka at {self._servers} did not take {left} records within {_FLUSH_S:g} s.")

    def _send(self, record: Record) -> None:
        while True:
            try:
                if record.partition is None:
                    self._producer.produce(self._topic, record.value, record.key, on_delivery=self._delivered)
                else:
                    self._producer.produce(
                        self._topic, record.value, record.key, record.partition, on_delivery=self._delivered
                    )
            except BufferError:
                # The broker is slower than we are: this is the back-pressure.
                self._producer.poll(0.05)
                self._raise_refusals()
            else:
                return

    def _partition_count(self, connect_s: float) -> int:
        try:
            topics = self._producer.list_topics(self._topic, timeout=connect_s).topics
        except KafkaException as error:
            reason = error.args[0].str() if isinstance(error.args[0], KafkaError) else str(error)
            raise SentinelError(f"No Kafka broker answers at {self._servers} ({reason}): is it running?") from None
        found = topics.get(self._topic)
        if found is None or found.error is not None or not found.partitions:
            raise SentinelError(f"Kafka at {self._servers} has no topic {self._topic}: create it, or give --topic.")
        return len(found.partitions)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._refused.append(error.str())

    def _raise_refusals(self) -> None:
        if self._refused:
            number, first = len(self._refused), self._refused[0]
            raise SentinelError(f"Kafka at {self._servers} refused {number} records of {self._topic}: {first}.")
