"""A plug-in put to the test: first as plain Python, where a mistake has a line, then compiled, as it will run."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jobs.detection.settings import load
from jobs.errors import SentinelError
from jobs.plugins.files import read_plugin
from jobs.training.files import read_model
from schemas.model import PublishedModel
from udfs.conformance.examples import examples_of
from udfs.conformance.laws import no_state, run
from udfs.conformance.observations import Observations
from udfs.conformance.verdicts import Verdict, verdicts
from udfs.detector import Detector
from udfs.driver import Driver
from udfs.plugins import PluginError

_MEASURED = 100_000
_INTERPRETED_S = 600.0


class Judged(NamedTuple):
    """One detector of a plug-in and what the laws say of it."""

    detector: Detector
    verdicts: tuple[Verdict, ...]

    @property
    def is_sound(self) -> bool:
        """Whether every law is kept."""
        return not any(verdict.problem for verdict in self.verdicts)


def judge(file: Path, config: Path | None, models: Sequence[Path]) -> Iterator[Judged]:
    """Yield every detector of a plug-in's file, judged; raises SentinelError if there is none to judge.

    Detectors are those of a configuration, else examples.
    """
    by_detector = {model.detector_id: model for model in map(read_model, models)}
    for detector in _detectors(file, config):
        model: PublishedModel | None = by_detector.get(detector.detector_id)
        yield Judged(detector, tuple(verdicts(detector, str(file), model)))


def _detectors(file: Path, config: Path | None) -> tuple[Detector, ...]:
    try:
        kinds = read_plugin(file)
        if config is None:
            return tuple(example for kind in kinds for example in examples_of(kind))
    except PluginError as error:
        raise SentinelError(str(error)) from None
    found = tuple(each for each in load(config).detection.detectors if type(each) in kinds)
    if not found:
        raise SentinelError(f"{config} configures no detector of {file}; name one under detection.detectors")
    return found


def as_plain_python(arguments: Sequence[str]) -> str:
    """Run `sentinel plugin check` in a process where kernels are not compiled; return its complaint, if it has one.

    There an index beyond `state` is an error with a line, and not a write into the memory of others.
    """
    argv = [sys.executable, "-m", "jobs.cli.app", "plugin", "check", *arguments, "--interpreted"]
    try:
        done = subprocess.run(
            argv,
            env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
            capture_output=True,
            text=True,
            timeout=_INTERPRETED_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SentinelError(
            f"as plain Python the laws took more than {_INTERPRETED_S:g} s; is there an endless loop?"
        ) from None
    if done.returncode == 0:
        return ""
    return (done.stdout + done.stderr).strip() or f"it ended with exit code {done.returncode}"


def microseconds(detector: Detector) -> float:
    """Return what an observation of all its metrics costs, compiled, in microseconds."""
    observations = Observations(detector, _MEASURED)
    driver = Driver(detector, observations.names)
    states = no_state(driver)
    run(driver, states, observations, 0, 1_000)
    began = time.perf_counter()
    run(driver, states, observations)
    return (time.perf_counter() - began) / _MEASURED * 1e6
