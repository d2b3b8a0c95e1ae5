"""Verdicts: every law put to one configured detector."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from schemas.model import PublishedModel
from udfs.aggregates import OBSERVED
from udfs.conformance.laws import LAWS, BrokenLawError, Law
from udfs.detector import Detector
from udfs.driver import Driver
from udfs.plugins import compiled, complaint

SEEDS = range(5)
"""Observations that each law is tried on; the same ones every time."""


class Verdict(NamedTuple):
    """What one law says of one detector; the problem is empty if it is kept."""

    promise: str
    problem: str


def verdicts(
    detector: Detector, file: str, model: PublishedModel | None = None, seeds: Iterable[int] = SEEDS
) -> Iterator[Verdict]:
    """Yield a verdict for each law that concerns a detector of a plug-in's file; the first, that it can be built.

    `model` is one that fits, for a detector that needs one; without it, only the laws about models are asked. A
    detector that cannot be built is asked nothing more.
    """
    try:
        driver = compiled(detector, OBSERVED[detector.on, detector.entity])
        if model is not None:
            driver.publish(model)
    except ValueError as error:
        yield Verdict("it can be built", str(error))
        return
    yield Verdict("it can be built", "")
    has_all = model is not None or not detector.needs_model
    for law in LAWS:
        if detector.form in law.forms and (detector.needs_model if law.is_about_models else has_all):
            yield Verdict(law.promise, _problem(driver, file, law, seeds))


def _problem(driver: Driver, file: str, law: Law, seeds: Iterable[int]) -> str:
    """Return how a law is broken, or nothing."""
    for seed in seeds:
        try:
            # Compiled kernels warn of nothing either: what counts is what comes out.
            with np.errstate(all="ignore"):
                law.check(driver, seed)
        except BrokenLawError as broken:
            return str(broken)
        except Exception as error:  # noqa: BLE001 - whatever a plug-in raises is what is asked for
            return complaint(file, error)
    return ""
