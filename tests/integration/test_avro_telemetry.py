"""The detection job on an Avro topic: what it finds is what JSON would have shown, and bad records stop nothing."""

from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import httpx
import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from jobs.backtest.telemetry import backtest
from jobs.stack.services import DETECTION_MODULE, detection_arguments
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import ANOMALIES, DEAD_LETTERS, TELEMETRY
from schemas.anomaly import Anomaly
from schemas.avro import encode_avro
from schemas.codec import decode_event, encode
from schemas.dead_letter import PAYLOAD_BYTES_MAX, DeadLetter, RejectReason
from schemas.time import to_at_ms
from tests.bad_avro_records import bad_avro_records
from tests.calls import START_AT_MS, call, heartbeat, troubled_calls
from udfs.settings import DetectionSettings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

TOPIC = "llm-telemetry-avro"
SECONDS = 900
EVENTS = list(troubled_calls(SECONDS))
END_AT_MS = START_AT_MS + (SECONDS + 120) * 1000
CONFIGURATION = f"""
kafka:
  telemetry_topic: {TOPIC}
  telemetry_format: avro
  group: test-avro
"""


class Reader:
    """Keeps what a topic says from now on."""

    def __init__(self, stack: Stack, topic: str) -> None:
        """Stand at the end of every partition."""
        self.values: list[bytes] = []
        self._topic = topic
        self._consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": f"test-avro-{topic}"})
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        places = []
        for partition in partitions:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            places.append(TopicPartition(topic, partition, end))
        self._consumer.assign(places)

    def until(self, is_enough: Callable[[list[bytes]], bool]) -> None:
        """Read until what has come is enough."""

        def came() -> bool:
            for message in self._consumer.consume(500, timeout=0.2):
                assert message.error() is None, message.error()
                self.values.append(message.value() or b"")
            return is_enough(self.values)

        try:
            wait_until(came, f"records of {self._topic}", deadline_s=150)
        finally:
            self._consumer.close()


@pytest.fixture
def job(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """The detection job, reading an Avro topic that takes records larger than a dead letter holds."""
    config = {"max.message.bytes": "12582912", "message.timestamp.type": "LogAppendTime"}
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    for created in admin.create_topics([NewTopic(TOPIC, TELEMETRY.partitions, config=config)]).values():
        created.result(30)
    file = tmp_path / "avro.yaml"
    file.write_text(CONFIGURATION)
    job_id = stack.run_job(DETECTION_MODULE, [*detection_arguments(stack.bootstrap_servers), "--config", str(file)])
    try:
        yield job_id
    finally:
        httpx.patch(f"{stack.rest_url}/jobs/{job_id}?mode=cancel", trust_env=False).raise_for_status()
        wait_until(lambda: stack.job_state(job_id) == "CANCELED", "the job to stop", deadline_s=60)
        for deleted in admin.delete_topics([TOPIC]).values():
            deleted.result(30)


def expected() -> set[tuple[str, str]]:
    """Return what a backtest of the same events as JSON finds."""
    records = [encode(event) for event in EVENTS] + [heartbeat(END_AT_MS, 0)]
    return {(each.anomaly_id, each.severity.value) for each in backtest(records, DetectionSettings()).anomalies}


def beat(producer: Producer, at_ms: int) -> None:
    """Produce a heartbeat to every partition."""
    for partition in range(TELEMETRY.partitions):
        producer.produce(TOPIC, encode_avro(decode_event(heartbeat(at_ms, partition))), partition=partition)
    producer.poll(0)


def spoil(producer: Producer) -> Counter[RejectReason]:
    """Produce bad records to all partitions and return how many there are of each reason."""
    bad = [(record.value, record.reason) for record in bad_avro_records(400)]
    future = encode_avro(call(1, START_AT_MS + 10 * 365 * 86_400_000, 0, 100.0))
    bad += [(future, RejectReason.OUT_OF_RANGE)] * TELEMETRY.partitions
    bad.append((Random(1).randbytes(9 * 1024 * 1024), RejectReason.TOO_LARGE))
    for number, (value, _) in enumerate(bad):
        producer.produce(TOPIC, value, partition=number % TELEMETRY.partitions)
        if number % 50 == 0:
            producer.flush()
    return Counter(reason for _, reason in bad)


def test_job_finds_in_avro_what_json_would_have_shown(stack: Stack, job: str) -> None:
    wanted = expected()
    anomalies, dead_letters = Reader(stack, ANOMALIES.name), Reader(stack, DEAD_LETTERS.name)
    producer = Producer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "partitioner": "murmur2_random",
            "message.max.bytes": 13_000_000,
            "linger.ms": 5,
        }
    )
    second, reasons = 0, Counter[RejectReason]()
    for number, event in enumerate(EVENTS):
        at_ms = to_at_ms(event.timestamp)
        if at_ms // 1000 > second:
            second = at_ms // 1000
            beat(producer, at_ms)
        producer.produce(TOPIC, encode_avro(event), key=f"{event.tenant_id}|{event.application_id}")
        if number == len(EVENTS) // 2:
            reasons = spoil(producer)
    beat(producer, END_AT_MS)
    assert producer.flush(60) == 0

    def pairs(values: list[bytes]) -> set[tuple[str, str]]:
        found = (msgspec.json.decode(value, type=Anomaly) for value in values)
        return {(each.anomaly_id, each.severity.value) for each in found}

    anomalies.until(lambda values: wanted <= pairs(values))
    assert pairs(anomalies.values) == wanted
    dead_letters.until(lambda values: len(values) >= reasons.total())
    letters = [msgspec.json.decode(value, type=DeadLetter) for value in dead_letters.values]
    assert Counter(each.reason for each in letters) == reasons
    assert len({each.dead_letter_id for each in letters}) == reasons.total()
    assert all(each.topic == TOPIC and each.timestamp for each in letters)
    [cut] = [each for each in letters if each.payload_size]
    assert cut.payload_size == 9 * 1024 * 1024
    assert len(b64decode(cut.payload_base64)) == PAYLOAD_BYTES_MAX
    assert stack.flink.get(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"] == []
