"""The topic of rules: what is in force, and changes of it."""

from confluent_kafka import KafkaError, Message, Producer

from jobs.detection.control import TIMEOUT_S, read_topic
from jobs.errors import SentinelError
from jobs.topics import CONFIG
from schemas.codec import encode
from schemas.config_record import RULE_PREFIX, rule_key
from schemas.rule import Rule


def listed(bootstrap_servers: str) -> dict[str, str]:
    """Return the rules of the topic as JSON by id. Raises SentinelError if Kafka cannot be read."""
    texts: dict[str, str] = {}
    read_topic(bootstrap_servers, CONFIG.name, texts)
    return {
        key.removeprefix(RULE_PREFIX): text
        for key, text in sorted(texts.items())
        if text and key.startswith(RULE_PREFIX)
    }


def publish(bootstrap_servers: str, rules: tuple[Rule, ...]) -> None:
    """Put rules into force. Raises SentinelError unless Kafka has taken all of them."""
    _send(bootstrap_servers, {rule_key(rule.rule_id): encode(rule) for rule in rules})


def remove(bootstrap_servers: str, rule_id: str) -> None:
    """Take a rule out of force. Raises SentinelError if there is none of this id."""
    known = listed(bootstrap_servers)
    if rule_id not in known:
        problem = f"there is no rule {rule_id!r}; there are: {', '.join(known) or 'none'}"
        raise SentinelError(problem)
    _send(bootstrap_servers, {rule_key(rule_id): None})


def _send(bootstrap_servers: str, records: dict[bytes, bytes | None]) -> None:
    problems: list[str] = []

    def heard(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            problems.append(error.str())

    producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "log_level": 2})
    for key, value in records.items():
        producer.produce(CONFIG.name, value, key=key, partition=0, on_delivery=heard)
    if producer.flush(TIMEOUT_S) or problems:
        problem = f"Kafka at {bootstrap_servers} did not take the change: {(problems or ['no answer'])[0]}"
        raise SentinelError(problem)
