"""Models and a running job: one takes effect without a restart, one that does not fit is refused in the open."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from jobs.records import read_values
from jobs.stack.stack import Stack
from jobs.topics import ANOMALIES, DEAD_LETTERS, SUMMARIES
from jobs.training import topic
from jobs.training.fit import fit
from jobs.training.windows import join, read_records
from schemas.anomaly import Anomaly
from schemas.dead_letter import DeadLetter, RejectReason
from tests.calls import START_AT_MS
from tests.odd_traffic import traffic
from tests.runs import read_until, restarts, send
from udfs.detectors.defaults import default_detectors

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

HOURS = 4
LATER_AT_MS = START_AT_MS + HOURS * 3_600_000
TASKMANAGERS = 2


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own with the detection job."""
    stack = Stack(tmp_path / "stack")
    stack.up(taskmanagers=TASKMANAGERS)
    try:
        yield stack
    finally:
        stack.down()


def test_model_takes_effect_without_a_restart_and_one_that_does_not_fit_is_refused(running: Stack) -> None:
    detector = next(each for each in default_detectors() if each.detector_id == "autoencoder-1m")
    send(running, list(traffic(1, HOURS)), end_at_ms=LATER_AT_MS, beat_ms=60_000)
    # One record for each window and metric; every metric is there, and a little patience for the last of them.
    wanted = (HOURS * 60 - 1) * 6
    read_until(running, SUMMARIES, lambda values: sum(b'"error_rate"' in value for value in values) >= wanted)
    windows = join(read_records(read_values(running.bootstrap_servers, SUMMARIES.name)), detector)
    model = fit(windows, detector, seed=1, now_ms=LATER_AT_MS)
    topic.publish(running.bootstrap_servers, model)
    topic.publish(running.bootstrap_servers, replace(model, detector_id="isolation-forest-1m"))
    # Every subtask refuses the second, and has taken the first by then.
    values = read_until(running, DEAD_LETTERS, lambda values: len(values) >= TASKMANAGERS)
    letters = [msgspec.json.decode(value, type=DeadLetter) for value in values]
    assert {letter.reason for letter in letters} == {RejectReason.OUT_OF_RANGE}
    assert all("takes models of kind isolation_forest" in letter.detail for letter in letters)
    assert len({letter.dead_letter_id for letter in letters}) == 1
    odd = list(traffic(9, 2, change=(0.7, 1.2, 1.3), start_at_ms=LATER_AT_MS))
    send(running, odd, end_at_ms=LATER_AT_MS + 2 * 3_600_000, beat_ms=60_000)
    values = read_until(running, ANOMALIES, lambda values: any(b'"autoencoder-1m"' in value for value in values))
    anomalies = [msgspec.json.decode(value, type=Anomaly) for value in values]
    # `joint-1m` finds the change without a model.
    assert {(each.detector_id, each.application_id) for each in anomalies} == {
        ("autoencoder-1m", "application-0"),
        ("joint-1m", "application-0"),
    }
    versions = {each.detector_version for each in anomalies if each.detector_id == detector.detector_id}
    assert versions == {model.version}
    [job] = running.jobs()
    assert restarts(running, job["jid"]) == []
