"""What verdicts on anomalies say of detectors: their precision, and a threshold with which it would be good enough."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from schemas.feedback import Feedback
from schemas.time import to_at_ms
from udfs.detector import Detector

PRECISION_GOAL = 0.95
"""Share of a detector's anomalies that should have been worth telling."""
LEAST_VERDICTS = 5
"""Fewer verdicts than this say nothing of a detector."""


class Standing(NamedTuple):
    """How the verdicts on one detector's anomalies stand."""

    detector_id: str
    true: int
    false: int

    @property
    def verdicts(self) -> int:
        """All of them, at least 1."""
        return self.true + self.false

    @property
    def precision(self) -> float:
        """Share of true ones, from 0 to 1."""
        return self.true / self.verdicts

    def is_below(self, goal: float) -> bool:
        """Return whether precision is below a goal, by enough verdicts to say so."""
        return self.verdicts >= LEAST_VERDICTS and self.precision < goal


class Proposal(NamedTuple):
    """A threshold that would have met the goal, and what it would have done to the anomalies with a verdict."""

    detector: Detector
    """As it would be; ready to take the place of the present one."""
    before: Standing
    after: Standing


def in_force(feedback: Iterable[Feedback]) -> list[Feedback]:
    """Return the newest word on each anomaly; of two at one instant the later one holds."""
    newest: dict[str, Feedback] = {}
    for each in feedback:
        known = newest.get(each.anomaly_id)
        if known is None or to_at_ms(each.given_at) >= to_at_ms(known.given_at):
            newest[each.anomaly_id] = each
    return list(newest.values())


def standings(feedback: Iterable[Feedback]) -> list[Standing]:
    """Return a standing for every detector that has a verdict, by its id."""
    verdicts: dict[str, list[bool]] = {}
    for each in in_force(feedback):
        verdicts.setdefault(each.detector_id, []).append(each.verdict == "true")
    return [_standing(detector_id, said) for detector_id, said in sorted(verdicts.items())]


def propose(detector: Detector, feedback: Iterable[Feedback], goal: float = PRECISION_GOAL) -> Proposal | None:
    """Return the least rise of `warning` with which the verdicts would have met the goal; None if none would.

    Verdicts on scores of another version of the detector mean something else and are left out (scores of published
    models are all in decades). A false alarm that scores as high as every true anomaly leaves no threshold to choose.
    """
    verdicts = sorted(
        (each.raw_score, each.verdict == "true")
        for each in in_force(feedback)
        if each.detector_id == detector.detector_id
        and (detector.needs_model or each.detector_version == detector.version)
    )
    for k in range(1, len(verdicts)):
        below, lowest = verdicts[k - 1][0], verdicts[k][0]
        kept = _standing(detector.detector_id, [is_true for _, is_true in verdicts[k:]])
        if below < lowest and kept.true and kept.precision >= goal:
            warning = _between(below, lowest)
            critical = None if detector.critical is None else max(detector.critical, warning)
            before = _standing(detector.detector_id, [is_true for _, is_true in verdicts])
            return Proposal(replace(detector, warning=warning, critical=critical), before, kept)
    return None


def _standing(detector_id: str, verdicts: Sequence[bool]) -> Standing:
    true = sum(verdicts)
    return Standing(detector_id, true, len(verdicts) - true)


def _between(below: float, above: float) -> float:
    """Return a number above `below`, at most `above`, with few digits where there is room for one."""
    middle = float(f"{(below + above) / 2:.3g}")
    return middle if below < middle <= above else above
