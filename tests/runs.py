"""Runs of the detection job in tests: what is sent, what comes back, and what should."""

import time
from collections.abc import Callable, Sequence

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from jobs.backtest.telemetry import backtest
from jobs.errors import SentinelError
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import ANOMALIES, TELEMETRY, Topic
from schemas.anomaly import Anomaly
from schemas.codec import encode
from schemas.telemetry import TelemetryEvent
from schemas.time import to_at_ms
from tests.calls import START_AT_MS, heartbeat, troubled_calls
from udfs.settings import DetectionSettings

SECONDS = 900
EVENTS = tuple(troubled_calls(SECONDS))
END_AT_MS = START_AT_MS + (SECONDS + 120) * 1000
# Soon after the absurd call in the middle, so that something has been found.
CUT = len(EVENTS) * 11 // 20


def identified(anomalies: Sequence[Anomaly]) -> set[tuple[str, str]]:
    """Return what is promised to be the same in every run: (anomaly_id, severity)."""
    return {(each.anomaly_id, each.severity.value) for each in anomalies}


def expected(events: Sequence[TelemetryEvent] = EVENTS, settings: DetectionSettings | None = None) -> list[Anomaly]:
    """Return what a backtest of the events finds."""
    records = [encode(event) for event in events] + [heartbeat(END_AT_MS, 0)]
    return backtest(records, settings or DetectionSettings()).anomalies


def send(
    stack: Stack, events: Sequence[TelemetryEvent] = EVENTS, *, end_at_ms: int | None = END_AT_MS, beat_ms: int = 1_000
) -> None:
    """Produce events keyed as the contract says, heartbeats now and then in every partition, and one at the end."""
    # Idempotent, so that what is sent again after a fault of the broker stays in order.
    producer = Producer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "enable.idempotence": True,
        }
    )
    beats = 0
    for event in events:
        at_ms = to_at_ms(event.timestamp)
        if at_ms // beat_ms > beats:
            beats = at_ms // beat_ms
            beat(producer, at_ms)
        producer.produce(TELEMETRY.name, encode(event), key=f"{event.tenant_id}|{event.application_id}")
    if end_at_ms is not None:
        beat(producer, end_at_ms)
    assert producer.flush(60) == 0


def send_with(stack: Stack, fault: Callable[[], None], events: Sequence[TelemetryEvent] = EVENTS) -> None:
    """Produce events, with a fault at the cut, once the job has found something and has state to lose."""
    send(stack, events[:CUT], end_at_ms=None)
    read_until(stack, ANOMALIES, bool)
    fault()
    send(stack, events[CUT:])


def beat(producer: Producer, at_ms: int) -> None:
    """Produce a heartbeat to every partition."""
    for partition in range(TELEMETRY.partitions):
        producer.produce(TELEMETRY.name, heartbeat(at_ms, partition), partition=partition)
    producer.poll(0)


def read_until(
    stack: Stack, topic: Topic, is_enough: Callable[[list[bytes]], bool], deadline_s: float = 150
) -> list[bytes]:
    """Return the committed values of a topic from its beginning once there are enough of them."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "group.id": f"test-{time.monotonic_ns()}",
            "isolation.level": "read_committed",
        }
    )
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


def found(stack: Stack, wanted: set[tuple[str, str]]) -> list[Anomaly]:
    """Return the anomalies in Kafka, repeats and all, once all wanted are there."""
    latest: list[Anomaly] = []

    def is_enough(values: list[bytes]) -> bool:
        latest[:] = [msgspec.json.decode(value, type=Anomaly) for value in values]
        return wanted <= identified(latest)

    try:
        read_until(stack, ANOMALIES, is_enough, deadline_s=90)
    except SentinelError as error:
        came = identified(latest)
        problem = f"{error} Missing {len(wanted - came)} of {len(wanted)}, {len(came - wanted)} not wanted."
        raise AssertionError(problem) from None
    return latest


def restarts(stack: Stack, job_id: str) -> list[str]:
    """Return why a job was restarted, each time it was."""
    entries = stack.flink.get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
    return [str(entry["exceptionName"]) for entry in entries]
