"""The way README.md submits the job to any Flink cluster works as it stands there."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from jobs.stack.launch import environment
from jobs.stack.layout import PROJECT, PYTHON, flink_wheel
from jobs.stack.services import DETECTION_JOB
from jobs.stack.stack import Stack
from jobs.stack.waiting import wait_until
from tests.documents import blocks_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def test_flink_run_as_documented_starts_the_job(stack: Stack, tmp_path: Path) -> None:
    [documented] = [block.text for block in blocks_of(PROJECT / "README.md") if block.text.startswith("flink run")]
    configuration = tmp_path / "detection.yaml"
    configuration.write_text(f"kafka:\n  bootstrap_servers: {stack.bootstrap_servers}\n")
    places = {"/opt/sentinel/venv/bin/python": str(PYTHON), "detection.yaml": str(configuration)}
    text = re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], documented)
    program, *arguments = shlex.split(text.replace("\\\n", " "))
    # A cluster's own Flink: its scripts, with the address of the JobManager in its configuration.
    env = environment(stack.layout) | {
        "FLINK_HOME": str(stack.layout.flink),
        "FLINK_CONF_DIR": str(stack.layout.flink / "conf"),
        "FLINK_LIB_DIR": str(stack.layout.flink / "lib"),
        "FLINK_OPT_DIR": str(stack.layout.flink / "opt"),
        "FLINK_PLUGINS_DIR": str(stack.layout.flink / "plugins"),
        "FLINK_BIN_DIR": str(flink_wheel() / "bin"),
        "FLINK_LOG_DIR": str(stack.layout.logs),
    }
    done = subprocess.run(
        [str(flink_wheel() / "bin" / program), *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    submitted = re.search(r"JobID ([0-9a-f]{32})", done.stdout)
    assert submitted is not None, done.stdout + done.stderr
    try:
        wait_until(lambda: stack.job_state(submitted[1]) == "RUNNING", "the job to run", deadline_s=60)
        assert DETECTION_JOB in {job["name"] for job in stack.jobs() if job["jid"] == submitted[1]}
    finally:
        subprocess.run(
            [str(flink_wheel() / "bin" / "flink"), "cancel", submitted[1]],
            env={**os.environ, **env},
            capture_output=True,
            check=True,
        )
        wait_until(lambda: stack.job_state(submitted[1]) == "CANCELED", "the job to end", deadline_s=60)
