"""The detection job on a real broker and a real cluster: what it finds, and that faults change nothing of it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer
from msgspec.structs import replace

from jobs.detection.settings import JobSettings, KafkaSettings
from jobs.errors import SentinelError
from jobs.stack.services import DETECTION_MODULE
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from jobs.topics import DEAD_LETTERS, INCIDENTS, SUMMARIES, TELEMETRY
from schemas.dead_letter import DeadLetter
from schemas.incident import Incident
from schemas.summary import Summary
from schemas.time import to_at_ms
from tests.bad_records import bad_records
from tests.runs import CUT, EVENTS, expected, found, identified, read_until, restarts, send, send_with
from udfs.settings import DetectionSettings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own with one TaskManager and no job."""
    stack = Stack(tmp_path / "stack")
    stack.up(taskmanagers=1, job=False, settings={"execution.checkpointing.interval": "2 s"})
    try:
        yield stack
    finally:
        stack.down()


@pytest.fixture
def running(empty: Stack) -> Stack:
    """The same with two TaskManagers and the detection job as it comes."""
    empty.start_taskmanager()
    empty.submit_detection_job()
    return empty


def submit(
    stack: Stack,
    settings: DetectionSettings,
    *,
    exactly_once: bool = False,
    parallelism: int = 1,
    start: Path | None = None,
) -> str:
    """Start the job with settings, maybe from a savepoint; return its id once it runs."""
    kafka = KafkaSettings(bootstrap_servers=stack.bootstrap_servers, exactly_once=exactly_once)
    configuration = stack.layout.home / "detection.yaml"
    # Any JSON document is a YAML document.
    configuration.write_bytes(msgspec.json.encode(JobSettings(kafka=kafka, detection=settings)))
    options = ["--parallelism", str(parallelism), *(["--fromSavepoint", str(start)] if start else [])]
    job_id = stack.run_job(DETECTION_MODULE, ["--config", str(configuration)], run_options=options)
    wait_until(lambda: stack.job_state(job_id) == "RUNNING", "the job to run", deadline_s=60)
    return job_id


def test_job_finds_what_a_backtest_finds(running: Stack) -> None:
    wanted = identified(expected())
    send(running)
    assert identified(found(running, wanted)) == wanted
    values = read_until(running, INCIDENTS, lambda values: any(b'"provider:openai"' in value for value in values))
    incidents = [msgspec.json.decode(value, type=Incident) for value in values]
    assert any(each.tenant_id is None for each in incidents)
    summaries = read_until(running, SUMMARIES, lambda values: len(values) > 100)
    assert {msgspec.json.decode(value, type=Summary).window_duration for value in summaries} == {"1m"}


def test_killed_taskmanager_changes_no_anomaly(running: Stack) -> None:
    wanted = identified(expected())

    def kill() -> None:
        running.kill_taskmanager(1)
        running.start_taskmanager()

    send_with(running, kill)
    assert identified(found(running, wanted)) == wanted


def test_broker_restart_changes_no_anomaly(running: Stack) -> None:
    wanted = identified(expected())
    send_with(running, running.restart_broker)
    assert identified(found(running, wanted)) == wanted


def test_savepoint_is_resumed_with_one_more_detector_and_on_two_taskmanagers(empty: Stack) -> None:
    default = DetectionSettings()
    fewer = replace(default, detectors=tuple(each for each in default.detectors if each.detector_id != "error-burst"))
    wanted = identified([each for each in expected() if each.detector_id != "error-burst"])
    job_id = submit(empty, fewer)

    def upgrade() -> None:
        savepoint = empty.stop_job(job_id)
        empty.start_taskmanager()
        submit(empty, default, parallelism=2, start=savepoint)

    send_with(empty, upgrade)
    told = found(empty, wanted)
    assert identified([each for each in told if each.detector_id != "error-burst"]) == wanted
    added = [each for each in told if each.detector_id == "error-burst"]
    assert added
    assert min(to_at_ms(each.timestamp) for each in added) >= to_at_ms(EVENTS[CUT].timestamp)


def test_exactly_once_readers_see_every_anomaly_once_though_a_taskmanager_died(empty: Stack) -> None:
    wanted = identified(expected())
    submit(empty, DetectionSettings(), exactly_once=True)

    def kill() -> None:
        empty.kill_taskmanager(1)
        empty.start_taskmanager()

    send_with(empty, kill)
    told = found(empty, wanted)
    assert identified(told) == wanted
    assert set(Counter(each.anomaly_id for each in told).values()) == {1}


def test_disorder_and_repeats_make_no_second_id(running: Stack) -> None:
    """Events come up to 400 ms late, and every tenth twice."""
    draw = np.random.default_rng(11)
    repeated = [event for number, event in enumerate(EVENTS) for _ in range(2 if number % 10 == 0 else 1)]
    arrival_ms = [to_at_ms(event.timestamp) + draw.uniform(0.0, 400.0) for event in repeated]
    sent = [repeated[place] for place in np.argsort(arrival_ms)]
    wanted = identified(expected(sent))
    send(running, sent)
    told = found(running, wanted)
    assert identified(told) == wanted
    assert set(Counter(each.anomaly_id for each in told).values()) == {1}


def test_bad_records_become_dead_letters_and_the_job_goes_on(running: Stack) -> None:
    wanted = identified(expected())
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

    send_with(running, spoil)
    assert identified(found(running, wanted)) == wanted
    values = read_until(running, DEAD_LETTERS, lambda values: len(values) >= len(bad))
    letters = [msgspec.json.decode(value, type=DeadLetter) for value in values]
    assert len({each.dead_letter_id for each in letters}) == len(bad)
    assert sorted(each.reason for each in letters) == sorted(record.reason for record in bad)
    [job] = running.jobs()
    assert restarts(running, job["jid"]) == []


def test_process_mode_is_refused_in_a_sentence(stack: Stack) -> None:
    arguments = ["--bootstrap-servers", stack.bootstrap_servers]
    with pytest.raises(SentinelError, match=r"runs in thread mode only; set `python\.execution-mode: thread`"):
        stack.run_job(DETECTION_MODULE, arguments, run_options=["-Dpython.execution-mode=process"])


def test_barriers_that_overtake_records_are_refused_in_a_sentence(stack: Stack) -> None:
    arguments = ["--bootstrap-servers", stack.bootstrap_servers]
    with pytest.raises(SentinelError, match=r"execution\.checkpointing\.unaligned\.enabled is true"):
        stack.run_job(DETECTION_MODULE, arguments, run_options=["-Dexecution.checkpointing.unaligned.enabled=true"])
