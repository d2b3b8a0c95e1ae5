"""The topic of rules: what is in force, and changes of it."""

from jobs.detection.control import read_topic
from jobs.errors import SentinelError
from jobs.records import write_records
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
    write_records(bootstrap_servers, CONFIG.name, {rule_key(rule.rule_id): encode(rule) for rule in rules})


def remove(bootstrap_servers: str, rule_id: str) -> None:
    """Take a rule out of force. Raises SentinelError if there is none of this id."""
    known = listed(bootstrap_servers)
    if rule_id not in known:
        problem = f"there is no rule {rule_id!r}; there are: {', '.join(known) or 'none'}"
        raise SentinelError(problem)
    write_records(bootstrap_servers, CONFIG.name, {rule_key(rule_id): None})
