"""The local stack starts, says how it is, survives faults, and stops exactly what it started."""

import os
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from jobs.cli import app
from jobs.errors import SentinelError
from jobs.stack.layout import Layout
from jobs.stack.processes import ManagedProcess, is_alive, kill, start, stop
from jobs.stack.services import newest_checkpoint
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import DEAD_LETTERS, FEEDBACK, TOPICS
from schemas.codec import encode
from schemas.dead_letter import PAYLOAD_BYTES_MAX, DeadLetter, RejectReason

WHERE_PYTHON_RUNS = Path(__file__).parent / "programs" / "where_python_runs.py"


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[ManagedProcess]:
    """A process that no stack started."""
    process = start("bystander", ["/bin/sleep", "600"], log=tmp_path / "bystander.log", env=os.environ)
    yield process
    kill(process)


def produce(stack: Stack, topic: str, value: bytes) -> None:
    """Write one record and wait until the broker has it."""
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "message.max.bytes": 13_000_000})
    producer.produce(topic, value, key=b"key", on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(30) == 0
    assert not failures


def run_to_the_end(stack: Stack, name: str) -> str:
    """Run the small job and return what its tasks printed."""
    job = stack.run_job(WHERE_PYTHON_RUNS, [name])
    wait_until(lambda: stack.job_state(job) in {"FINISHED", "FAILED"}, f"job {name} to end", deadline_s=60)
    assert stack.job_state(job) == "FINISHED"
    return "".join(each.log.read_text() for each in stack.status() if each.name.startswith("taskmanager"))


@pytest.mark.cluster
def test_topics_are_as_declared(stack: Stack) -> None:
    topics = AdminClient({"bootstrap.servers": stack.bootstrap_servers}).list_topics(timeout=10).topics
    # Other tests of this stack make topics of their own.
    assert {topic.name: len(topics[topic.name].partitions) for topic in TOPICS if topic.name in topics} == {
        topic.name: topic.partitions for topic in TOPICS
    }


@pytest.mark.cluster
def test_the_largest_dead_letter_fits(stack: Stack) -> None:
    letter = DeadLetter(
        dead_letter_id="test-0-0",
        reason=RejectReason.TOO_LARGE,
        detail="It has more than 1 MiB.",
        topic="test",
        partition=0,
        offset=0,
        payload_base64=b64encode(bytes(PAYLOAD_BYTES_MAX)).decode(),
        payload_size=PAYLOAD_BYTES_MAX + 1,
    )
    produce(stack, DEAD_LETTERS.name, encode(letter))


@pytest.mark.cluster
def test_up_twice_changes_nothing(stack: Stack) -> None:
    before = stack.status()
    stack.up(taskmanagers=2, job=False)
    assert stack.status() == before
    assert all(process.alive for process in before)


@pytest.mark.cluster
def test_a_stack_that_runs_is_not_moved(stack: Stack) -> None:
    with pytest.raises(SentinelError, match="already runs on port"):
        stack.up(taskmanagers=2, job=False, kafka_port=19_999)
    assert all(process.alive for process in stack.status())


@pytest.mark.cluster
def test_killed_taskmanager_is_reported_with_its_log_and_replaced(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.kill_taskmanager(1)

    dead = [process for process in stack.status() if not process.alive]
    assert [process.name for process in dead] == ["taskmanager-1"]
    assert "Starting TaskManager" in dead[0].log.read_text()
    monkeypatch.setattr(sys, "argv", ["sentinel", "status", "--home", str(stack.layout.home)])
    with pytest.raises(SystemExit) as exit_:
        app.main()
    assert exit_.value.code == 1
    assert f"taskmanager-1 (log: {dead[0].log})" in capsys.readouterr().err

    assert stack.start_taskmanager() == "taskmanager-1"
    # The heartbeat's verdict on the dead one: the configuration promises seconds.
    stack.wait_for_taskmanagers(2, deadline_s=20)
    assert all(process.alive for process in stack.status())


@pytest.mark.cluster
@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
def test_broker_comes_back_with_its_records(stack: Stack, *, crash: bool) -> None:
    value = f"kept when killed: {crash}".encode()
    produce(stack, FEEDBACK.name, value)
    address = stack.bootstrap_servers
    if crash:
        stack.kill_broker()
    stack.restart_broker()
    assert stack.bootstrap_servers == address

    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"})

    def is_read() -> bool:
        # Other tests write to the topic too.
        record = consumer.poll(1)
        return record is not None and record.value() == value

    try:
        consumer.subscribe([FEEDBACK.name])
        wait_until(is_read, "the record to be read", deadline_s=60)
    finally:
        consumer.close()


@pytest.mark.cluster
def test_python_runs_inside_the_taskmanagers_for_one_job_after_another(stack: Stack) -> None:
    for name in ("first", "second"):
        printed = run_to_the_end(stack, name)
        rows = [line for line in printed.splitlines() if "row " in line and " prefix " in line]
        assert rows
        assert all(f"prefix {sys.prefix} process java" in row for row in rows), rows


@pytest.mark.cluster
def test_refused_job_says_why_and_where_its_log_is(stack: Stack) -> None:
    with pytest.raises(
        SentinelError, match=r"^Flink did not take the job no\.such\.module \(.*No module named.*\): see .*\.log$"
    ):
        stack.run_job("no.such.module")


@pytest.mark.cluster
def test_down_after_a_crash_stops_exactly_what_up_started(
    stack: Stack, tmp_path: Path, bystander: ManagedProcess
) -> None:
    other = Stack(tmp_path / "other")
    other.up(taskmanagers=1, job=False)
    processes = other.status()
    assert [process.alive for process in processes] == [True] * 3
    assert {other.bootstrap_servers, other.rest_url}.isdisjoint({stack.bootstrap_servers, stack.rest_url})
    jobmanager = psutil.Process(next(process.pid for process in processes if process.name == "jobmanager"))
    jobmanager.kill()
    jobmanager.wait(10)

    other.down()

    assert other.status() == []
    assert not any(psutil.pid_exists(process.pid) for process in processes)
    assert is_alive(bystander)
    assert all(process.alive for process in stack.status())
    other.delete()
    assert not (tmp_path / "other").exists()


def test_taken_port_is_named_with_its_holder_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stack = Stack(tmp_path)
        with pytest.raises(SentinelError, match=rf"^Port {port} for Kafka is taken by .*process {os.getpid()}"):
            stack.up(job=False, kafka_port=port)
    assert stack.status() == []


def test_missing_java_is_one_sentence_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    stack = Stack(tmp_path)
    with pytest.raises(SentinelError, match="no java in JAVA_HOME: install JDK 17"):
        stack.up(job=False)
    assert stack.status() == []


def test_detection_goes_on_from_its_own_newest_complete_checkpoint(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert newest_checkpoint(layout, ["mine"]) is None
    for age_s, checkpoint in enumerate(("other/chk-9", "mine/chk-3", "mine/chk-2", "earlier/chk-8")):
        metadata = layout.checkpoints / checkpoint / "_metadata"
        metadata.parent.mkdir(parents=True)
        metadata.touch()
        os.utime(metadata, (1000 - age_s, 1000 - age_s))
    (layout.checkpoints / "mine" / "chk-4").mkdir()  # cut off before it was complete
    assert newest_checkpoint(layout, ["earlier", "mine"]) == layout.checkpoints / "mine" / "chk-3"


def test_process_with_a_recycled_number_is_left_alone(bystander: ManagedProcess) -> None:
    earlier = ManagedProcess(
        name="kafka", pid=bystander.pid, started_at=bystander.started_at - 60, log=bystander.log, argv=()
    )
    assert not is_alive(earlier)
    stop([earlier], grace_s=1)
    kill(earlier)
    assert is_alive(bystander)


def test_process_that_ends_while_waited_for_names_its_log_and_its_last_words(tmp_path: Path) -> None:
    argv = ["/bin/sh", "-c", "echo no memory left; echo; exit 1"]
    process = start("kafka", argv, log=tmp_path / "kafka.log", env=os.environ)
    said = rf"^kafka ended while waiting for Kafka to answer: .*{tmp_path}/kafka.log \(the last line: no memory left\)$"
    with pytest.raises(SentinelError, match=said):
        wait_until(lambda: False, "Kafka to answer", deadline_s=10, watched=[process])


def test_command_without_a_stack_exits_1_with_one_sentence(tmp_path: Path) -> None:
    sentinel = Path(sys.prefix) / "bin" / "sentinel"
    done = subprocess.run(
        [sentinel, "status", "--home", tmp_path / "empty"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"sentinel: Nothing is running in {tmp_path}/empty: run `sentinel up`.\n"
