"""Effect: what other thresholds would have made of recorded telemetry."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from jobs.backtest.telemetry import Backtest, backtest, read_records
from schemas.anomaly import Severity
from schemas.feedback import Feedback
from udfs.control import Control
from udfs.feedback import Proposal, in_force
from udfs.settings import DetectionSettings


class Counts(NamedTuple):
    """What one detector, or all of them together, made of the telemetry."""

    anomalies: int
    true: int
    """Of these, anomalies that a person found true."""
    false: int


class Effect(NamedTuple):
    """A backtest as things are and one with every proposal; pairs are before and after."""

    by_detector: dict[str, tuple[Counts, Counts]]
    incidents: tuple[int, int]
    critical_incidents: tuple[int, int]


def effect(
    telemetry: Path,
    settings: DetectionSettings,
    control: Control,
    proposals: Sequence[Proposal],
    feedback: Sequence[Feedback],
) -> Effect:
    """Run the same telemetry twice and compare. Detectors do not read one another, so one run tries all proposals.

    Raises SentinelError if the file cannot be read.
    """
    changed = {each.detector.detector_id: each.detector for each in proposals}
    records, telemetry_format = read_records(telemetry)
    present = replace(settings, telemetry_format=telemetry_format)
    proposed = replace(present, detectors=tuple(changed.get(each.detector_id, each) for each in settings.detectors))
    before = backtest(records, present, control)
    after = backtest(read_records(telemetry)[0], proposed, control)
    verdicts = {each.anomaly_id: each.verdict for each in in_force(feedback)}
    return Effect(
        {name: (_counts(before, name, verdicts), _counts(after, name, verdicts)) for name in changed},
        (len(before.incidents), len(after.incidents)),
        (_criticals(before), _criticals(after)),
    )


def _counts(result: Backtest, detector_id: str, verdicts: Mapping[str, str]) -> Counts:
    told = [each.anomaly_id for each in result.anomalies if each.detector_id == detector_id]
    said = [verdicts.get(anomaly_id) for anomaly_id in told]
    return Counts(len(told), said.count("true"), said.count("false"))


def _criticals(result: Backtest) -> int:
    return sum(each.severity is Severity.CRITICAL for each in result.incidents)
