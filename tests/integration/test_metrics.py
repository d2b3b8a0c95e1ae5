"""What is seen of the detection job from outside, on a real cluster: metrics, log lines, and who may look."""

import sys
from collections import Counter
from collections.abc import Iterator

import msgspec
import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from jobs.cli import app
from jobs.stack.metrics import PREFIX, read_metrics
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import ANOMALIES, CONFIG, TELEMETRY, Topic
from operators.metrics import BATCH_BOUNDS
from schemas.anomaly import Anomaly, Severity
from schemas.codec import encode
from schemas.dead_letter import RejectReason
from schemas.rule import Operator, Rule, Threshold
from tests.calls import START_AT_MS, call, heartbeat
from tests.pushed_metrics import PushedMetrics, push_gateway

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

SECONDS, PER_SECOND = 400, 4
GOOD = [
    call(number, START_AT_MS + number * 1000 // PER_SECOND, number % 3, 9e6 if number == 1500 else 400 + number % 97)
    for number in range(SECONDS * PER_SECOND)
]
END_AT_MS = START_AT_MS + SECONDS * 1000
LATE = [call(900_000 + number, START_AT_MS, number % 3, 400.0) for number in range(7)]
BAD = {
    RejectReason.NOT_JSON: [b"{", b"no", b"]"],
    RejectReason.EMPTY: [b""],
    RejectReason.NOT_AN_OBJECT: [b"1", b"[]"],
}
RULE = encode(
    Rule(
        rule_id="slow",
        name="slow calls",
        severity=Severity.WARNING,
        on="event",
        entity="model",
        when=Threshold(metric="latency_ms", operator=Operator.GT, value=1e6),
    )
)


@pytest.fixture(scope="module")
def pushed() -> Iterator[PushedMetrics]:
    """Where the processes of `watched` push what they would serve to Prometheus."""
    with push_gateway() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, pushed: PushedMetrics) -> Iterator[Stack]:
    """A stack with the detection job, which has taken all records above and a rule that is none."""
    stack = Stack(tmp_path_factory.mktemp("watched") / "stack")
    stack.up(taskmanagers=2, settings=pushed.settings())
    try:
        send(stack)
        yield stack
    finally:
        stack.down()


def send(stack: Stack) -> None:
    """Produce good records, then late and bad ones, and see them taken."""
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 5})
    producer.produce(CONFIG.name, RULE, key=b"rule/slow")
    producer.produce(CONFIG.name, b"{}", key=b"rule/none")
    assert producer.flush(30) == 0
    wait_until(lambda: rest_total(stack, "sentinel_kind_refused") == 2, "both subtasks to hear", deadline_s=180)
    for event in GOOD:
        producer.produce(TELEMETRY.name, encode(event), key=f"{event.tenant_id}|{event.application_id}")
    for partition in range(TELEMETRY.partitions):
        producer.produce(TELEMETRY.name, heartbeat(END_AT_MS, partition), partition=partition)
    assert producer.flush(30) == 0
    # What comes in one batch with the heartbeat that ends the time before it need not be late.
    in_time = len(GOOD) + TELEMETRY.partitions
    wait_until(lambda: rest_total(stack, "sentinel_records") >= in_time, f"{in_time} records", deadline_s=90)
    for event in LATE:
        producer.produce(TELEMETRY.name, encode(event), key=f"{event.tenant_id}|{event.application_id}")
    for value in [value for values in BAD.values() for value in values]:
        producer.produce(TELEMETRY.name, value, partition=1)
    assert producer.flush(30) == 0
    sent = in_time + len(LATE) + sum(map(len, BAD.values()))
    wait_until(lambda: rest_total(stack, "sentinel_records") >= sent, f"{sent} records to be taken", deadline_s=90)
    assert rest_total(stack, "sentinel_records") == sent


def rest_total(stack: Stack, name: str, **labels: str) -> float:
    """Return the sum over the series of a metric as `sentinel metrics` prints them."""
    wanted = labels.items()
    return sum(
        each.value for each in read_metrics(stack.flink) if each.name.endswith(name) and wanted <= each.labels.items()
    )


def settled(pushed: PushedMetrics, stack: Stack) -> None:
    """Return when what was pushed is what REST says; a record that came since would be in neither."""
    wanted = rest_total(stack, "sentinel_records")
    pushed.wait_for_whole_pages()
    assert pushed.total("sentinel_records") == wanted


def test_records_are_counted_by_what_became_of_them(watched: Stack, pushed: PushedMetrics) -> None:
    settled(pushed, watched)
    assert pushed.total("sentinel_records") == len(GOOD) + TELEMETRY.partitions + len(LATE) + 6
    assert pushed.total("sentinel_late") == len(LATE)
    for reason, values in BAD.items():
        assert pushed.total("sentinel_reason_dead_letters", reason=reason.value) == len(values)
    assert pushed.total("sentinel_reason_dead_letters") == sum(map(len, BAD.values()))


def test_batches_are_a_histogram(watched: Stack, pushed: PushedMetrics) -> None:
    settled(pushed, watched)
    assert pushed.total("sentinel_batch_records_sum") == pushed.total("sentinel_records")
    buckets = [pushed.total("sentinel_le_batch_records_bucket", le=str(le)) for le in (*BATCH_BOUNDS, "+Inf")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == pushed.total("sentinel_batch_records_count") > 0


def test_anomalies_are_counted_by_detector_and_severity(watched: Stack, pushed: PushedMetrics) -> None:
    found = [msgspec.json.decode(value, type=Anomaly) for value in read(watched, ANOMALIES, least=2)]
    counted = Counter((each.detector_id, each.severity.value) for each in found)
    assert any(detector.startswith("rule") for detector, _ in counted), "the rule is in force"
    for (detector, severity), number in counted.items():
        assert pushed.total("sentinel_detector_severity_anomalies", detector=detector, severity=severity) == number, (
            detector
        )
    assert pushed.total("sentinel_detector_severity_anomalies") == len(found)


def test_rules_in_force_and_refused_are_told_by_every_subtask(watched: Stack, pushed: PushedMetrics) -> None:
    in_force = pushed.samples("sentinel_rules_in_force")
    refused = pushed.samples("sentinel_kind_refused")
    assert list(in_force.values()) == [1.0, 1.0]
    assert list(refused.values()) == [1.0, 1.0]
    assert all(("kind", "rule") in labels for _, labels in refused)
    assert watched.status()


def test_progress_and_state_are_gauges(watched: Stack, pushed: PushedMetrics) -> None:
    marks = pushed.samples("sentinel_partition_watermark_ms")
    assert {dict(labels)["partition"] for _, labels in marks} == {str(number) for number in range(TELEMETRY.partitions)}
    assert {END_AT_MS - value for value in marks.values()} == {500.0}
    assert pushed.total("sentinel_series", operator_name="detect") == 3
    assert pushed.total("sentinel_state_bytes", operator_name="detect") > 3 * 1000
    # Written are only columns that hold something, by now at least once.
    assert pushed.total("sentinel_state_written_bytes") > 3 * 1000
    assert watched.status()


def test_rest_has_what_prometheus_has(
    watched: Stack, pushed: PushedMetrics, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(pushed, watched)
    counts = ("records", "late", "dead_letters", "anomalies", "batch_records_bucket", "rules_in_force", "refused")
    for (name, labels), value in pushed.samples("sentinel_").items():
        if name.endswith(counts):
            assert rest_total(watched, name, **{key: label for key, label in labels if key in DECISIVE}) == value, name
    sys.argv[1:] = ["metrics", "--home", str(watched.layout.home)]
    with pytest.raises(SystemExit) as exit_:
        app.main()
    assert exit_.value.code in (0, None)
    assert f'{PREFIX}_sentinel_late{{operator_name="detect",subtask_index=' in capsys.readouterr().out


DECISIVE = {"reason", "detector", "severity", "le", "kind", "subtask_index", "operator_name", "partition"}


def read(stack: Stack, topic: Topic, least: int) -> list[bytes]:
    """Return the values of a topic once there are so many."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": "test-metrics"})
    consumer.assign([TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)])
    values: list[bytes] = []

    def came() -> bool:
        values.extend(message.value() or b"" for message in consumer.consume(500, timeout=1.0))
        return len(values) >= least

    try:
        wait_until(came, f"records of {topic.name}", deadline_s=60)
    finally:
        consumer.close()
    return values


def logged(stack: Stack) -> list[dict[str, object]]:
    """Return the lines of all Flink processes' logs; every one of them must be JSON."""
    logs = [each.log for each in stack.status() if each.name != "kafka"]
    return [msgspec.json.decode(line, type=dict) for log in logs for line in log.read_bytes().splitlines()]


def test_every_line_of_flinks_logs_is_json_with_time_level_and_message(watched: Stack) -> None:
    lines = logged(watched)
    assert len(lines) > 100
    for line in lines:
        assert {"@timestamp", "log.level", "log.logger", "message"} <= set(line), line


def test_operators_log_what_an_operator_needs_and_no_event(watched: Stack) -> None:
    ours = [line for line in logged(watched) if "/operators/" in str(line["log.logger"])]
    told = Counter(str(line["message"]).split(":")[0] for line in ours)
    assert told["detection begins"] == 2
    assert told["shard begins"] == TELEMETRY.partitions
    assert told["roll-up begins"] == 1
    # Every subtask.
    assert told["rule/slow"] == 2
    assert told["refused"] == 2
    assert len(ours) == 2 + TELEMETRY.partitions + 1 + 2 + 2
    [first, _] = [line for line in ours if str(line["message"]).startswith("refused")]
    assert first["log.level"] == "WARN"
    assert "rule/none" in str(first["message"])


def test_logs_are_shown_as_text(watched: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    sys.argv[1:] = ["logs", "taskmanager-1", "-n", "100000", "--home", str(watched.layout.home)]
    with pytest.raises(SystemExit):
        app.main()
    shown = capsys.readouterr().out
    assert "detection begins: " in shown
    assert '{"@timestamp"' not in shown


def test_everything_listens_on_the_loopback_interface_alone(watched: Stack) -> None:
    for each in watched.status():
        connections = psutil.Process(each.pid).net_connections("inet")
        listening = {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
        assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, each.name
