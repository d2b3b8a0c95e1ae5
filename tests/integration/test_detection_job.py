"""The detection job on a real broker and a real cluster: what it finds, and that faults change nothing of it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from jobs.backtest.telemetry import backtest
from jobs.errors import SentinelError
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import ANOMALIES, DEAD_LETTERS, INCIDENTS, SUMMARIES, TELEMETRY, Topic
from schemas.anomaly import Anomaly
from schemas.codec import encode
from schemas.dead_letter import DeadLetter
from schemas.incident import Incident
from tests.bad_records import bad_records
from tests.calls import START_AT_MS, heartbeat, troubled_calls
from udfs.settings import DetectionSettings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

SECONDS = 900
EVENTS = list(troubled_calls(SECONDS))
END_AT_MS = START_AT_MS + (SECONDS + 120) * 1000


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own with the detection job."""
    stack = Stack(tmp_path / "stack")
    stack.up(taskmanagers=2, settings={"execution.checkpointing.interval": "2 s"})
    try:
        yield stack
    finally:
        stack.down()


def expected() -> set[tuple[str, str]]:
    """Return what a backtest of the same events finds."""
    records = [encode(event) for event in EVENTS] + [heartbeat(END_AT_MS, 0)]
    return {(each.anomaly_id, each.severity.value) for each in backtest(records, DetectionSettings()).anomalies}


def send(stack: Stack, *, halfway: Callable[[], None] = lambda: None) -> None:
    """Produce all events keyed as the contract says, heartbeats every second of event time in every partition."""
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 5})
    second = 0
    for number, event in enumerate(EVENTS):
        at_ms = START_AT_MS + number * 1000 // 30
        if at_ms // 1000 > second:
            second = at_ms // 1000
            beat(producer, at_ms)
        producer.produce(TELEMETRY.name, encode(event), key=f"{event.tenant_id}|{event.application_id}")
        if number == len(EVENTS) // 2:
            producer.flush()
            halfway()
    beat(producer, END_AT_MS)
    assert producer.flush(30) == 0


def beat(producer: Producer, at_ms: int) -> None:
    """Produce a heartbeat to every partition."""
    for partition in range(TELEMETRY.partitions):
        producer.produce(TELEMETRY.name, heartbeat(at_ms, partition), partition=partition)
    producer.poll(0)


def read_until(
    stack: Stack, topic: Topic, is_enough: Callable[[list[bytes]], bool], deadline_s: float = 150
) -> list[bytes]:
    """Return the values of a topic from its beginning once there are enough of them."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": f"test-{time.monotonic_ns()}"})
    consumer.assign([TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)])
    values: list[bytes] = []

    def came() -> bool:
        for message in consumer.consume(500, timeout=0.2):
            assert message.error() is None, message.error()
            values.append(message.value() or b"")
        return is_enough(values)

    try:
        wait_until(came, f"records of {topic.name}", deadline_s=deadline_s)
    finally:
        consumer.close()
    return values


def found(stack: Stack, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return (anomaly_id, severity) of the anomalies in Kafka once all wanted ids are there."""

    def pairs(values: list[bytes]) -> set[tuple[str, str]]:
        return {
            (each.anomaly_id, each.severity.value)
            for each in (msgspec.json.decode(value, type=Anomaly) for value in values)
        }

    latest: set[tuple[str, str]] = set()

    def is_enough(values: list[bytes]) -> bool:
        latest.clear()
        latest.update(pairs(values))
        return wanted <= latest

    try:
        read_until(stack, ANOMALIES, is_enough, deadline_s=90)
    except SentinelError as error:
        problem = f"{error} Missing {len(wanted - latest)} of {len(wanted)}, {len(latest - wanted)} not wanted."
        raise AssertionError(problem) from None
    return latest


def test_job_finds_what_a_backtest_finds(running: Stack) -> None:
    wanted = expected()
    send(running)
    assert found(running, wanted) == wanted
    values = read_until(running, INCIDENTS, lambda values: any(b'"provider:openai"' in value for value in values))
    incidents = [msgspec.json.decode(value, type=Incident) for value in values]
    assert any(each.tenant_id is None for each in incidents)
    assert read_until(running, SUMMARIES, lambda values: len(values) > 100)


def test_killed_taskmanager_changes_no_anomaly(running: Stack) -> None:
    wanted = expected()

    def kill() -> None:
        # Something has been found, so the job is in mid-stream and has state to lose.
        read_until(running, ANOMALIES, bool)
        running.kill_taskmanager(1)
        running.start_taskmanager()

    send(running, halfway=kill)
    assert found(running, wanted) == wanted


def test_broker_restart_changes_no_anomaly(running: Stack) -> None:
    wanted = expected()
    send(running, halfway=running.restart_broker)
    assert found(running, wanted) == wanted


def test_bad_records_become_dead_letters_and_the_job_goes_on(running: Stack) -> None:
    wanted = expected()
    bad = list(bad_records())
    producer = Producer(
        {"bootstrap.servers": running.bootstrap_servers, "message.max.bytes": 8_000_000, "linger.ms": 5}
    )

    def spoil() -> None:
        for number, record in enumerate(bad):
            producer.produce(TELEMETRY.name, record.value, partition=number % TELEMETRY.partitions)
            if number % 50 == 0:
                producer.flush()
        assert producer.flush(60) == 0

    send(running, halfway=spoil)
    assert found(running, wanted) == wanted
    values = read_until(running, DEAD_LETTERS, lambda values: len(values) >= len(bad))
    letters = [msgspec.json.decode(value, type=DeadLetter) for value in values]
    assert len({each.dead_letter_id for each in letters}) == len(bad)
    assert sorted(each.reason for each in letters) == sorted(record.reason for record in bad)
    [job] = [job for job in running.jobs() if job["name"] == "llm-sentinel-detection"]
    restarts = running.flink.get(f"/jobs/{job['jid']}/exceptions")["exceptionHistory"]["entries"]
    assert restarts == []
