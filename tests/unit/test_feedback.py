"""Verdicts on anomalies: what they say of a detector, and which threshold they argue for."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli.app import app
from jobs.errors import SentinelError
from schemas.anomaly import Anomaly, Severity
from schemas.codec import encode
from schemas.feedback import Feedback
from schemas.time import from_at_ms
from tests.calls import START_AT_MS
from tests.runs import EVENTS
from udfs.detector import Detector
from udfs.detectors.autoencoder import Autoencoder
from udfs.detectors.zscore import ZScore
from udfs.feedback import Standing, in_force, propose, standings

DETECTOR = ZScore(detector_id="z", on="10s", metrics=("latency_ms_mean",), warning=6.5, critical=12.0)


def said(
    number: int, verdict: str, raw_score: float, *, detector: str = "z", at_ms: int = 0, version: str = "1"
) -> Feedback:
    """Return a verdict on the anomaly of a number."""
    return msgspec.convert(
        {
            "anomaly_id": f"anomaly-{number}",
            "verdict": verdict,
            "given_at": from_at_ms(START_AT_MS + at_ms),
            "timestamp": from_at_ms(START_AT_MS),
            "detector_id": detector,
            "detector_version": version,
            "severity": Severity.WARNING,
            "raw_score": raw_score,
        },
        Feedback,
    )


def several(true: list[float], false: list[float], version: str = "1") -> list[Feedback]:
    """Return verdicts on anomalies of these raw scores."""
    verdicts = [("true", each) for each in true] + [("false", each) for each in false]
    return [said(number, verdict, score, version=version) for number, (verdict, score) in enumerate(verdicts)]


def test_newest_verdict_on_an_anomaly_holds() -> None:
    first, second = said(1, "false", 7.0), said(1, "true", 7.0, at_ms=60_000)
    assert in_force([second, first]) == [second]
    assert standings([first, second]) == [Standing("z", true=1, false=0)]


def test_precision_is_kept_per_detector_and_few_verdicts_judge_nobody() -> None:
    verdicts = [*several([9, 10, 11], [7]), said(10, "false", 8.0, detector="y")]
    assert standings(verdicts) == [Standing("y", 0, 1), Standing("z", 3, 1)]
    assert standings(verdicts)[1].precision == 0.75
    assert not any(each.is_below(0.95) for each in standings(verdicts))
    assert standings([*verdicts, said(11, "false", 7.2)])[1].is_below(0.95)


def test_proposed_threshold_lies_between_the_false_alarms_and_the_true_ones() -> None:
    proposal = propose(DETECTOR, several([9.0, 10.0, 14.0], [6.6, 6.7, 7.0]))
    assert proposal is not None
    assert proposal.detector == msgspec.structs.replace(DETECTOR, warning=8.0)
    assert proposal.before == Standing("z", 3, 3)
    assert proposal.after == Standing("z", 3, 0)


def test_least_rise_that_meets_the_goal_is_proposed() -> None:
    """Of false alarms at 7 and 8 among true ones, a goal of two thirds asks only for the lower one to go."""
    proposal = propose(DETECTOR, several([9.0, 10.0], [7.0, 8.0]), goal=2 / 3)
    assert proposal is not None
    assert (proposal.detector.warning, proposal.after) == (7.5, Standing("z", 2, 1))


def test_critical_is_never_below_warning() -> None:
    proposal = propose(DETECTOR, several([40.0], [20.0, 21.0]))
    assert proposal is not None
    assert (proposal.detector.warning, proposal.detector.critical) == (30.5, 30.5)


def test_nothing_is_proposed_where_false_alarms_score_as_high_as_true_ones() -> None:
    assert propose(DETECTOR, several([7.0, 9.0], [9.0, 12.0])) is None


def test_scores_of_another_version_are_left_out_unless_a_model_made_them() -> None:
    others = several([9.0, 10.0], [7.0], version="7")
    assert propose(DETECTOR, others) is None
    model = Autoencoder(detector_id="z", on="1m", metrics=("latency_ms_mean",), warning=6.0)
    assert propose(model, others) is not None


@given(st.lists(st.tuples(st.floats(6.5, 100.0), st.booleans()), max_size=12), st.floats(0.5, 1.0))
def test_a_proposal_meets_the_goal_and_rises(verdicts: list[tuple[float, bool]], goal: float) -> None:
    given_ = [said(k, "true" if is_true else "false", score) for k, (score, is_true) in enumerate(verdicts)]
    proposal = propose(DETECTOR, given_, goal)
    if proposal is None:
        return
    kept = [is_true for score, is_true in verdicts if score >= proposal.detector.warning]
    assert sum(kept) / len(kept) >= goal
    assert (proposal.after.true, proposal.after.false) == (sum(kept), len(kept) - sum(kept))
    assert proposal.detector.warning > min(score for score, _ in verdicts)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recorded telemetry and what a backtest found in it."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "calls.jsonl").write_bytes(b"".join(encode(event) + b"\n" for event in EVENTS))
    run(folder, "backtest", "telemetry", "calls.jsonl", "--out", "found")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Run a command whose file arguments lie in a folder, and return what it printed."""
    placed = [str(folder / each) if each in {"found", "calls.jsonl", *FILES} else each for each in arguments]
    result = CliRunner().invoke(app, placed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


FILES = {"found/anomalies.jsonl", "feedback.jsonl"}
GIVEN = ("--anomalies", "found/anomalies.jsonl", "--feedback", "feedback.jsonl")


def anomalies_of(folder: Path, detector: Detector | str) -> list[Anomaly]:
    lines = (folder / "found" / "anomalies.jsonl").read_bytes().splitlines()
    found = [msgspec.json.decode(line, type=Anomaly) for line in lines]
    return sorted((each for each in found if each.detector_id == detector), key=lambda each: each.raw_score)


def test_detector_below_its_goal_gets_a_proposal_and_the_backtest_shows_what_it_does(recorded: Path) -> None:
    told = anomalies_of(recorded, "error-rate-10s")
    weak, strong = [each for each in told if each.raw_score < 20], [each for each in told if each.raw_score >= 20]
    assert len(weak) >= 2
    assert len(strong) >= 3
    run(recorded, "feedback", "false", *(each.anomaly_id for each in weak), *GIVEN)
    run(recorded, "feedback", "true", *(each.anomaly_id for each in strong), *GIVEN, "--note", "the planted outage")
    output = run(recorded, "feedback", "report", "--feedback", "feedback.jsonl", "--telemetry", "calls.jsonl")
    assert "below the goal" in output
    assert "proposed warning" in output
    assert f"kept {len(strong)} of {len(strong)} true and 0 of {len(weak)} false anomalies" in output
    rows = {row.strip("│ \n").split("│")[0].strip(): row for row in output.splitlines() if "│" in row}
    cells = [cell.strip() for cell in rows["found false"].strip("│").split("│")]
    assert cells == ["found false", str(len(weak)), "0"]


@pytest.mark.parametrize(
    ("given_id", "complaint"),
    [("of-nothing-known", "holds no anomaly 'of-nothing-known'"), ("", "anomalies whose ids begin with ''")],
)
def test_unknown_or_ambiguous_anomaly_is_refused_in_a_sentence(recorded: Path, given_id: str, complaint: str) -> None:
    with pytest.raises(SentinelError, match=complaint):
        run(recorded, "feedback", "true", given_id, *GIVEN)


def test_a_note_that_is_too_long_is_refused(recorded: Path) -> None:
    [first, *_] = anomalies_of(recorded, "error-rate-10s")
    with pytest.raises(SentinelError, match=r"cannot be written: .*2000"):
        run(recorded, "feedback", "true", first.anomaly_id, *GIVEN, "--note", "x" * 2001)
