"""Feedback through a real broker: a verdict on an anomaly of the topic is in the report."""

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from jobs.cli.app import app
from jobs.stack.stack import Stack
from jobs.topics import ANOMALIES
from schemas.codec import encode
from tests.runs import expected

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def run(stack: Stack, *arguments: str) -> str:
    result = CliRunner().invoke(
        app, [*arguments, "--bootstrap-servers", stack.bootstrap_servers], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_verdict_on_an_anomaly_of_the_topic_is_in_the_report_and_the_newest_holds(stack: Stack) -> None:
    anomaly = expected()[0]
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    producer.produce(ANOMALIES.name, encode(anomaly), key=anomaly.fingerprint)
    assert producer.flush(60) == 0
    run(stack, "feedback", "false", anomaly.anomaly_id)
    assert "0.0%" in run(stack, "feedback", "report")
    run(stack, "feedback", "true", anomaly.anomaly_id[:20])
    report = run(stack, "feedback", "report")
    assert anomaly.detector_id in report
    assert "100.0%" in report
