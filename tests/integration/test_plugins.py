"""A user's own detector in a running job: one file beside the configuration, nothing installed on the cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from jobs.detection.settings import load
from jobs.stack.services import DETECTION_MODULE
from jobs.stack.stack import Stack
from tests.documents import DOCUMENTS, blocks_of
from tests.runs import expected, found, identified, restarts, send

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own, with no job."""
    stack = Stack(tmp_path / "stack")
    stack.up(taskmanagers=2, job=False)
    try:
        yield stack
    finally:
        stack.down()


def test_detector_of_one_file_runs_in_the_job_and_finds_what_a_backtest_finds(empty: Stack, tmp_path: Path) -> None:
    for block in blocks_of(DOCUMENTS / "adding-a-detector.md"):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    configuration = tmp_path / "detection.yaml"
    settings = load(configuration).detection
    wanted = identified(expected(settings=replace(settings, plugins=())))
    assert wanted
    arguments = ["--config", str(configuration), "--bootstrap-servers", empty.bootstrap_servers]
    job_id = empty.run_job(DETECTION_MODULE, arguments, run_options=["--parallelism", "2"])
    # The cluster has the text by now; the file is of no more use to it.
    (tmp_path / "fading_record.py").unlink()
    send(empty)
    told = found(empty, wanted)
    assert {each.detector_id for each in told} == {"call-record"}
    assert identified(told) == wanted
    assert restarts(empty, job_id) == []
