"""What a backtest of series promises: causal, one pass, any step, and one clear sentence for what it cannot read."""

import csv
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.backtest.series import backtest
from jobs.backtest.series_file import read_series
from jobs.cli.app import app
from jobs.errors import SentinelError
from udfs.kernels import Floats, Integers
from udfs.series import SeriesWatch, Verdicts

START_AT_MS = 1_790_000_000_000
DAY = 288
STEP_MS = 300_000


def daily(days: int, seed: int = 1) -> tuple[Integers, Floats]:
    """Return times and values of a series that rises by day, five minutes apart."""
    at_ms = START_AT_MS + STEP_MS * np.arange(days * DAY, dtype=np.int64)
    noise = np.random.default_rng(seed).normal(0.0, 2.0, len(at_ms))
    return at_ms, 100.0 + 40.0 * np.sin(2.0 * np.pi * np.arange(len(at_ms)) / DAY) + noise


def judged(at_ms: Integers, values: Floats) -> Verdicts:
    return SeriesWatch().judge(at_ms, values)


NUMBERS = st.one_of(
    st.floats(-1e3, 1e3),
    st.sampled_from([0.0, np.nan, np.inf, 1e308, -1e308, 5e-324]),
)


@settings(max_examples=25)
@given(st.lists(NUMBERS, min_size=1, max_size=300), st.data())
def test_cutting_the_end_off_changes_no_earlier_verdict(values: list[float], data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(-10, 10_000_000), min_size=len(values), max_size=len(values)))
    at_ms, numbers = START_AT_MS + np.cumsum(np.array(steps, dtype=np.int64)), np.array(values)
    cut = data.draw(st.integers(0, len(values)))
    whole = judged(at_ms, numbers)
    watch = SeriesWatch()
    first, second = watch.judge(at_ms[:cut], numbers[:cut]), watch.judge(at_ms[cut:], numbers[cut:])
    for column in range(3):
        parts = np.concatenate([first[column], second[column]])
        assert np.array_equal(parts, whole[column], equal_nan=True)


@settings(max_examples=25)
@given(st.lists(NUMBERS, min_size=1, max_size=300))
def test_score_is_from_0_to_1_and_at_least_a_half_exactly_for_anomalies(values: list[float]) -> None:
    at_ms = START_AT_MS + STEP_MS * np.arange(len(values), dtype=np.int64)
    verdicts = judged(at_ms, np.array(values))
    assert np.isfinite(verdicts.score).all()
    assert ((verdicts.score >= 0.0) & (verdicts.score <= 1.0)).all()
    assert np.array_equal(verdicts.score >= 0.5, verdicts.is_anomaly)
    assert (verdicts.score[~np.isfinite(values)] == 0.0).all()


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_days_are_quiet_and_a_spike_is_an_anomaly_at_once(seed: int) -> None:
    at_ms, values = daily(21, seed)
    calm = judged(at_ms, values)
    assert calm.is_anomaly[7 * DAY :].sum() <= 3
    values[-10] += 60.0
    found = judged(at_ms, values)
    assert found.is_anomaly[-10]
    assert found.score[-10] == found.score.max()


def test_what_is_unusual_only_for_its_hour_is_found() -> None:
    at_ms, values = daily(21)
    trough = 20 * DAY + int(np.argmin(values[20 * DAY :]))
    assert values[trough] < 65.0
    values[trough : trough + 12] = 120.0
    assert judged(at_ms, values).is_anomaly[trough : trough + 12].any()


def test_an_anomaly_that_goes_on_is_told_once_and_ranked_high_while_it_lasts() -> None:
    at_ms, values = daily(21)
    onset = 20 * DAY
    values[onset : onset + 24] += 60.0
    verdicts = judged(at_ms, values)
    assert verdicts.is_anomaly[onset : onset + 24].sum() == 1
    assert np.median(verdicts.score[onset : onset + 12]) > np.quantile(verdicts.score[:onset], 0.999)


def test_the_band_holds_what_is_ordinary() -> None:
    at_ms, values = daily(21)
    low, high = judged(at_ms, values).band[7 * DAY :, 1:].T
    inside = (values[7 * DAY :] >= low) & (values[7 * DAY :] <= high)
    assert inside.mean() > 0.99
    assert (high - low).mean() < 60.0


def write(path: Path, rows: list[str]) -> Path:
    text = "\n".join(rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("2026-11-01 00:00:00", "2026-11-01T00:05:00"), (0, 300_000)),
        (("2026-11-01T02:00:00+02:00", "2026-11-01T00:05:00Z"), (0, 300_000)),
        (("1793491200", "1793491500.5"), (0, 300_500)),
        (("1793491200000", "1793491500500"), (0, 300_500)),
    ],
)
def test_times_are_iso_or_epoch_in_seconds_or_milliseconds(
    tmp_path: Path, texts: tuple[str, str], expected: tuple[int, int]
) -> None:
    start_ms = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
    series = read_series(write(tmp_path / "a.csv", ["TimeStamp,other,Value", *(f'"{text}",x,"1"' for text in texts)]))
    assert series.at_ms.tolist() == [start_ms + each for each in expected]


def test_every_row_has_its_verdict_and_keeps_its_texts(tmp_path: Path) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [f"{(start + timedelta(minutes=k)).isoformat()},{100 + k % 7}.50" for k in range(300)]
    rows[5] = rows[4]
    rows[6] = rows[6].split(",")[0] + ","
    source = write(tmp_path / "a.csv.gz", ["timestamp,value", *rows])
    [result] = backtest([source], tmp_path / "out")
    assert (result.rows, result.missing) == (300, 1)
    with gzip.open(tmp_path / "out" / "a.csv.gz", "rt") as file:
        written = list(csv.DictReader(file))
    assert [f"{row['timestamp']},{row['value']}" for row in written] == rows
    assert list(written[0])[2:] == [
        "anomaly_score",
        "is_anomaly",
        "severity",
        "expected",
        "expected_low",
        "expected_high",
    ]
    assert written[6]["anomaly_score"] == "0"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["time,value", "1,1"], "no column 'timestamp'"),
        (["timestamp,value", "yesterday,1"], "line 2: 'yesterday' is no time"),
        (["timestamp,value", "1793491200,1", "1793491260,many"], "line 3: the value 'many' is no number"),
        (["timestamp,value", "1793491200,1", "1793480000,1"], "line 3: 1793480000 is more than two hours before"),
        (["timestamp,value", "1793491200"], "line 2 has 1 columns"),
        (["timestamp,value", "nan,1"], "line 2: 'nan' is no time"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, rows: list[str], sentence: str) -> None:
    with pytest.raises(SentinelError, match=sentence) as refused:
        read_series(write(tmp_path / "a.csv", rows))
    assert "a.csv" in str(refused.value)


def test_results_are_never_written_over_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "x.csv", ["timestamp,value", "1793491200,1"])
    with pytest.raises(SentinelError, match="both be written"):
        list(backtest([tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv"], tmp_path / "out"))
    with pytest.raises(SentinelError, match="over itself"):
        list(backtest([tmp_path / "a" / "x.csv"], tmp_path / "a"))


def test_the_command_judges_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write(tmp_path / "in" / "deep" / "x.csv", ["timestamp,value", "1793491200,1"])
    alone = write(tmp_path / "alone.csv", ["timestamp,value", "1793491200,1"])
    arguments = ["backtest", "series", str(tmp_path / "in"), str(alone), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert (tmp_path / "out" / "deep" / "x.csv").exists()
    assert (tmp_path / "out" / "alone.csv").exists()
