"""Alerts from Kafka reach a receiver, and what cannot be read goes to the dead letters."""

import base64
import json
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from jobs.dispatch.kafka.intake import CONFIGURATION_KEY
from jobs.records import read_values, write_records
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import ACTIONS, ALERTS, ANOMALIES, CONFIG, DEAD_LETTERS, INCIDENTS, SUMMARIES
from schemas.time import from_at_ms
from tests.dispatch_runs import CONFIGURATION, DispatchRun
from tests.webhook_receiver import Receiver, webhook_receiver

EXAMPLES = Path(__file__).parents[2] / "schemas" / "published" / "examples"
pytestmark = pytest.mark.cluster


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


def produce(stack: Stack, topic: str, *values: bytes, key: bytes = b"k") -> None:
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    for value in values:
        producer.produce(topic, value, key=key)
    assert producer.flush(30) == 0


def anomaly(name: str) -> bytes:
    """An anomaly of now, of a metric of that name."""
    found = json.loads((EXAMPLES / "anomaly" / "valid-latency.json").read_text())
    now = from_at_ms(time.time_ns() // 1_000_000)
    return json.dumps(found | {"anomaly_id": name, "metric": name, "timestamp": now, "context": {}}).encode()


def incident(**changes: Any) -> bytes:
    found = json.loads((EXAMPLES / "incident" / "valid-open.json").read_text())
    now_ms = time.time_ns() // 1_000_000
    times = {
        "opened_at": from_at_ms(now_ms),
        "updated_at": from_at_ms(now_ms),
        "expires_at": from_at_ms(now_ms + 600_000),
    }
    return json.dumps(found | times | changes).encode()


def dead_letters_of(stack: Stack, payload: bytes) -> list[dict[str, Any]]:
    wanted = base64.b64encode(payload).decode()
    letters = [json.loads(value) for value in read_values(stack.bootstrap_servers, DEAD_LETTERS.name)]
    return [letter for letter in letters if letter["payload_base64"] == wanted]


def configure(stack: Stack, text: bytes | None) -> None:
    write_records(stack.bootstrap_servers, CONFIG.name, {CONFIGURATION_KEY.encode(): text})


def told_of(label: str, value: str, status: str = "firing") -> Callable[[Receiver], bool]:
    """Whether an alert was told of; others of its group may be incidents of other tests."""
    return lambda all_: any(
        alert["labels"].get(label) == value and alert["status"] == status
        for told in all_.told
        for alert in told.body["alerts"]
    )


def test_anomaly_and_incident_in_kafka_reach_the_receiver_and_changes_are_published(
    stack: Stack, receiver: Receiver, tmp_path: Path
) -> None:
    kafka = ("--bootstrap-servers", stack.bootstrap_servers, "--silence", "0s")
    dispatch = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url), *kafka)
    # Written before dispatch was ever started: still worth telling.
    produce(stack, ANOMALIES.name, anomaly("latency_before"))
    dispatch.start()
    try:
        produce(stack, ANOMALIES.name, b"no anomaly", anomaly("latency_after"))
        receiver.wait_for(told_of("metric", "latency_before"), "the anomaly from before the start")
        receiver.wait_for(told_of("metric", "latency_after"), "the anomaly behind the bad record")
        produce(stack, INCIDENTS.name, incident(incident_id="outage-1"), key=b"outage-1")
        receiver.wait_for(told_of("incident_id", "outage-1"), "the incident")
        wait_until(lambda: len(dead_letters_of(stack, b"no anomaly")) == 1, "the dead letter", deadline_s=60)
        (letter,) = dead_letters_of(stack, b"no anomaly")
        assert (letter["reason"], letter["topic"]) == ("not_json", ANOMALIES.name)

        # Killed and started again, it reads on where its outbox ends.
        dispatch.kill()
        produce(stack, ANOMALIES.name, anomaly("latency_meanwhile"))
        dispatch.start()
        receiver.wait_for(told_of("metric", "latency_meanwhile"), "the anomaly from while it was dead")
        closed = incident(incident_id="outage-1", status="closed", closed_at=from_at_ms(time.time_ns() // 1_000_000))
        produce(stack, INCIDENTS.name, closed, key=b"outage-1")
        receiver.wait_for(told_of("incident_id", "outage-1", status="resolved"), "the end of the incident")
        assert dispatch.stop() == 0
    finally:
        dispatch.kill()
    changes = [json.loads(value) for value in read_values(stack.bootstrap_servers, ALERTS.name)]
    states = [each["state"] for each in changes if each["labels"].get("incident_id") == "outage-1"]
    assert states == ["firing", "resolved"]
    ids = [told.id for told in receiver.told]
    assert len(ids) == len(set(ids))
    assert len(dead_letters_of(stack, b"no anomaly")) == 1


def test_silence_of_the_summaries_is_an_alert_and_ends_with_it(
    stack: Stack, receiver: Receiver, tmp_path: Path
) -> None:
    produce(stack, SUMMARIES.name, b"{}")
    kafka = ("--bootstrap-servers", stack.bootstrap_servers, "--silence", "2s")
    dispatch = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url), *kafka).start()
    try:
        receiver.wait_for(lambda all_: any("SentinelSilent" in told.firing for told in all_.told), "the alert")
        produce(stack, SUMMARIES.name, b"{}")
        receiver.wait_for(lambda all_: any("SentinelSilent" in told.resolved for told in all_.told), "its end")
    finally:
        dispatch.kill()


def test_definition_of_an_alert_asks_shield_over_kafka(stack: Stack, receiver: Receiver, tmp_path: Path) -> None:
    routes = textwrap.indent(CONFIGURATION.format(url=receiver.url).strip(), "  ")
    definition = """
definitions:
- alert_id: slow
  name: Slow
  conditions: {trigger: event_pattern, field: metric, regex: ^latency_shielded$}
  throttling: {max_frequency: 1h, grouping: [tenant_id, model]}
  actions: [{type: shield, config: {action: block, duration: 2h}}]
"""
    kafka = ("--bootstrap-servers", stack.bootstrap_servers, "--silence", "0s")
    dispatch = DispatchRun(tmp_path, f"alertmanager:\n{routes}{definition}", *kafka).start()
    try:
        produce(stack, ANOMALIES.name, anomaly("latency_shielded"), anomaly("latency_shielded"))
        receiver.wait_for(lambda all_: any("Slow" in told.firing for told in all_.told), "the alert")
        wait_until(lambda: any(read_values(stack.bootstrap_servers, ACTIONS.name)), "the action", deadline_s=60)
        assert dispatch.stop() == 0
    finally:
        dispatch.kill()
    (action,) = [json.loads(value) for value in read_values(stack.bootstrap_servers, ACTIONS.name)]
    seen = json.loads(anomaly("latency_shielded"))["affected_entity"]
    assert (action["action"], action["alert_id"]) == ("block", "slow")
    wanted = {
        "tenant_id": seen["tenant_id"],
        "application_id": "",
        "provider": "",
        "model": seen["model"],
        "user_id": "",
    }
    assert action["target"] == wanted


def test_configuration_comes_over_kafka_and_a_bad_one_does_not(
    stack: Stack, receiver: Receiver, tmp_path: Path
) -> None:
    kafka = ("--bootstrap-servers", stack.bootstrap_servers, "--silence", "0s")
    dispatch = DispatchRun(tmp_path, CONFIGURATION.format(url=receiver.url), *kafka).start()
    try:
        configure(stack, CONFIGURATION.format(url=receiver.url).replace("team", "night").encode())
        wait_until(
            lambda: [each["name"] for each in dispatch.get("/api/v2/receivers")] == ["night"],
            "the configuration",
            deadline_s=60,
        )
        configure(stack, b"route: {}")
        dispatch.wait_until_said("The configuration stays as it was: sentinel.config, line 1")
        assert [each["name"] for each in dispatch.get("/api/v2/receivers")] == ["night"]
        configure(stack, None)
    finally:
        dispatch.kill()
