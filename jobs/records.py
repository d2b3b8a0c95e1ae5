"""Records of Kafka topics: read whole, or a few written for sure."""

from collections.abc import Iterator, Mapping

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from jobs.errors import SentinelError

TIMEOUT_S = 15.0
_LARGEST_BYTES = 12 * 1024 * 1024


def read_values(bootstrap_servers: str, topic: str) -> Iterator[bytes]:
    """Return the values of a topic, partition after partition, from its beginning to where it ends now.

    Raises SentinelError if the topic is not there or cannot be read.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "sentinel-reader",
            "enable.auto.commit": False,
            "log_level": 2,
        }
    )
    try:
        found = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        if found.error is not None:
            problem = f"Kafka at {bootstrap_servers} cannot serve {topic}: {found.error.str()}"
            raise SentinelError(problem)
        for partition in found.partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
            while consumer.position([TopicPartition(topic, partition)])[0].offset < end and end > 0:
                messages = consumer.consume(1_000, timeout=TIMEOUT_S)
                if not messages:
                    problem = f"Kafka at {bootstrap_servers} did not serve {topic} within {TIMEOUT_S:.0f} s"
                    raise SentinelError(problem)
                yield from (message.value() or b"" for message in messages if message.error() is None)
    except KafkaException as error:
        problem = f"Kafka at {bootstrap_servers} cannot serve {topic}: {error.args[0].str()}"
        raise SentinelError(problem) from None
    finally:
        consumer.close()


def write_records(bootstrap_servers: str, topic: str, records: Mapping[bytes, bytes | None]) -> None:
    """Write records by key to a topic's one partition. Raises SentinelError unless Kafka has taken all of them."""
    problems: list[str] = []

    def heard(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            problems.append(error.str())

    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "message.max.bytes": _LARGEST_BYTES,
            "log_level": 2,
        }
    )
    try:
        for key, value in records.items():
            producer.produce(topic, value, key=key, partition=0, on_delivery=heard)
    except KafkaException as error:
        problems.append(error.args[0].str())
    if producer.flush(TIMEOUT_S) or problems:
        problem = f"Kafka at {bootstrap_servers} did not take the change: {(problems or ['no answer'])[0]}"
        raise SentinelError(problem)
