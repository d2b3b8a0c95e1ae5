"""What holds for all tests: no property has a deadline, and kernels are compiled once, by all workers together."""

import os

import pytest
from hypothesis import settings

from udfs.detectors.defaults import default_detectors
from udfs.driver import Driver

# How long one example takes says more of what else the machine does than of the code.
settings.register_profile("bounded", deadline=None, max_examples=40)
settings.register_profile("whole", deadline=None, max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bounded"))


@pytest.fixture(scope="session", autouse=True)
def _compiled(request: pytest.FixtureRequest) -> None:
    """Let each worker of several begin with its share of the detectors; it finds the others' on disk when it is done.

    Otherwise all of them would compile all of the detectors at the same time, which takes half a minute.
    """
    worker = getattr(request.config, "workerinput", None)
    if worker is None:
        return
    one_of_each = {type(each): each for each in default_detectors()}.values()
    for detector in list(one_of_each)[int(worker["workerid"][2:]) :: worker["workercount"]]:
        Driver(detector, detector.metrics)
