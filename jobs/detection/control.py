"""Control: the rules and models that hold when the job is built, and where their changes begin."""

from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from jobs.errors import SentinelError
from jobs.topics import CONFIG, MODELS

TIMEOUT_S = 15.0


class ControlSnapshot(NamedTuple):
    """What was in the control topics, by Kafka key, and the offset after it of each topic's one partition."""

    snapshot: dict[str, str]
    offsets: dict[str, int]
    telemetry_partitions: int


def read_control(bootstrap_servers: str, telemetry_topic: str) -> ControlSnapshot:
    """Read `sentinel.config` and `sentinel.models` to their ends; raises SentinelError when Kafka cannot be read."""
    try:
        topics = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=TIMEOUT_S).topics
    except KafkaException:
        problem = f"Kafka does not answer at {bootstrap_servers}; is it running, and is the address right?"
        raise SentinelError(problem) from None
    missing = [name for name in (telemetry_topic, CONFIG.name, MODELS.name) if name not in topics]
    if missing:
        problem = (
            f"Kafka at {bootstrap_servers} has no topic {', '.join(missing)}; create the topics of docs/contracts.md"
        )
        raise SentinelError(problem)
    snapshot: dict[str, str] = {}
    offsets = {topic: read_topic(bootstrap_servers, topic, snapshot) for topic in (CONFIG.name, MODELS.name)}
    return ControlSnapshot(snapshot, offsets, len(topics[telemetry_topic].partitions))


def read_topic(bootstrap_servers: str, topic: str, into: dict[str, str]) -> int:
    """Put what a topic of one partition holds into a dict by key, and return the offset after it."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "sentinel-control",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(TIMEOUT_S)
            if message is None:
                problem = f"Kafka at {bootstrap_servers} did not serve {topic} within {TIMEOUT_S:.0f} s"
                raise SentinelError(problem)
            error = message.error()
            if error is None:
                key = (message.key() or b"").decode(errors="replace")
                into[key] = (message.value() or b"").decode(errors="replace")
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public name for it
                return int(message.offset() or 0)
            else:
                problem = f"Kafka at {bootstrap_servers} cannot serve {topic}: {error.str()}"
                raise SentinelError(problem)
    finally:
        consumer.close()
