"""The demonstration, as a person runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jobs.stack.layout import PROJECT

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(420)]

FAULTS = ("latency", "ttft", "tokens", "cost", "runaway_user", "absurd", "errors", "silence", "provider_outage")


def start(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.cli.app", "demo"],
        cwd=PROJECT,
        env={**os.environ, "SENTINEL_HOME": str(home / "stack")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_demo_finds_what_it_planted_and_leaves_nothing_behind(tmp_path: Path) -> None:
    running = start(tmp_path)
    said, _ = running.communicate(timeout=400)
    assert running.returncode == 0, said
    table = said[said.index("Planted faults") :]
    for fault in FAULTS:
        assert f"│ {fault} " in table
    assert "Verdict: passed" in table
    assert left_behind(tmp_path) == []


def test_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    # What runs in the background may ignore Ctrl-C, and so would its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = start(tmp_path)
    signal.signal(signal.SIGINT, before)
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("The job runs"):
            break
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert running.returncode == 130
    assert left_behind(tmp_path) == []


def left_behind(home: Path) -> list[str]:
    """Return the files in a folder, and the processes whose command line names it."""
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [*map(str, home.iterdir()), *(command for command in commands if str(home) in command)]
