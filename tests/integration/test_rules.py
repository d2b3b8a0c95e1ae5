"""Rules and a running job: one takes effect without a restart, one that is wrong is refused in the open."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from jobs.rules.topic import publish
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import ANOMALIES, CONFIG, DEAD_LETTERS, TELEMETRY, Topic
from schemas.anomaly import Anomaly
from schemas.codec import encode
from schemas.dead_letter import DeadLetter, RejectReason
from schemas.rule import Operator, Rule, Threshold
from tests.calls import START_AT_MS, call

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own with the detection job."""
    stack = Stack(tmp_path / "stack")
    stack.up(taskmanagers=2)
    try:
        yield stack
    finally:
        stack.down()


class Reader:
    """Keeps what a topic has said so far."""

    def __init__(self, stack: Stack, topic: Topic) -> None:
        """Read from the beginning."""
        self.values: list[bytes] = []
        self._name = topic.name
        self._consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": f"test-{topic.name}"})
        self._consumer.assign([TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)])

    def until(self, is_enough: Callable[[list[bytes]], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until what was read is enough, and do something again and again meanwhile."""

        def came() -> bool:
            meanwhile()
            for message in self._consumer.consume(500, timeout=0.2):
                assert message.error() is None, message.error()
                self.values.append(message.value() or b"")
            return is_enough(self.values)

        try:
            wait_until(came, f"records of {self._name}", deadline_s=120)
        finally:
            self._consumer.close()


def test_rule_takes_effect_without_a_restart_and_a_wrong_one_is_refused(running: Stack) -> None:
    producer = Producer({"bootstrap.servers": running.bootstrap_servers, "partitioner": "murmur2_random"})
    sent = 0

    def one_call() -> None:
        nonlocal sent
        event = call(sent, START_AT_MS + sent * 200, sent % 6, 700.0)
        producer.produce(TELEMETRY.name, encode(event), key=f"{event.tenant_id}|{event.application_id}")
        producer.flush(10)
        sent += 1

    def send(count: int) -> None:
        for _ in range(count):
            one_call()

    send(60)
    slow = Threshold(metric="latency_ms", operator=Operator.GT, value=500.0)
    publish(running.bootstrap_servers, (Rule(rule_id="slow", on="event", when=slow),))
    producer.produce(CONFIG.name, b'{"rule_id":"wrong","on":"event"}', key=b"rule/wrong", partition=0)
    producer.flush(10)
    found = Reader(running, ANOMALIES)
    found.until(bool, meanwhile=one_call)
    anomalies = [msgspec.json.decode(value, type=Anomaly) for value in found.values]
    assert {each.detector_id for each in anomalies} == {"rule-slow"}
    refused = Reader(running, DEAD_LETTERS)
    refused.until(bool)
    # Every subtask says so, under one id.
    [letter] = {
        each.dead_letter_id: each for each in (msgspec.json.decode(value, type=DeadLetter) for value in refused.values)
    }.values()
    assert (letter.topic, letter.reason) == (CONFIG.name, RejectReason.OUT_OF_RANGE)
    assert "rule/wrong: when, sequence: give exactly one of them" in letter.detail
    [job] = [job for job in running.jobs() if job["name"] == "llm-sentinel-detection"]
    assert running.flink.get(f"/jobs/{job['jid']}/exceptions")["exceptionHistory"]["entries"] == []
