"""Pictures of series: what is read, what is kept of long ones, and that they are drawn."""

import math
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli.app import app
from jobs.errors import SentinelError
from jobs.plot import drawing
from jobs.plot.curve import Curve, Mark
from jobs.plot.reading import curve_of_csv, curves_of_folder
from schemas.anomaly import Severity
from schemas.codec import encode
from tests.calls import START_AT_MS
from tests.runs import EVENTS

HEADER = "timestamp,value,anomaly_score,is_anomaly,severity,expected,expected_low,expected_high\n"
ROWS = (
    "2026-11-24 00:00:00,10.0,0.1,0,,,,\n"
    "2026-11-24T00:05:00Z,11.5,0.2,0,,10,8,12\n"
    "1795478999,99.0,0.9,1,critical,10,8,12\n"
    "1795479300000,10.5,0.1,False,,10,8,\n"
)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["plot", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a backtest."""
    folder = tmp_path_factory.mktemp("plot")
    (folder / "calls.jsonl").write_bytes(b"".join(encode(event) + b"\n" for event in EVENTS))
    arguments = ["backtest", "telemetry", str(folder / "calls.jsonl"), "--out", str(folder / "found")]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    return folder / "found"


@pytest.fixture
def series(tmp_path: Path) -> Path:
    path = tmp_path / "cpu.csv"
    path.write_text(HEADER + ROWS)
    return path


def test_csv_of_a_series_is_read_with_its_band_and_anomalies(series: Path) -> None:
    curve = curve_of_csv(series)
    assert curve.title == "cpu"
    assert np.diff(curve.at_ms).tolist() == [300_000, 299_000, 301_000]
    assert curve.value.tolist() == [10.0, 11.5, 99.0, 10.5]
    assert math.isnan(curve.expected[0])
    assert curve.low[1:].tolist() == [8.0, 8.0, 8.0]
    assert math.isnan(curve.high[3])
    assert curve.marks == (Mark(int(curve.at_ms[2]), 99.0, Severity.CRITICAL),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,value\n1,2\n", r"x\.csv has no column 'timestamp'; it needs timestamp and value"),
        ("timestamp,value\nyesterday,2\n", r"x\.csv, line 2: .*yesterday"),
        ("timestamp,value\n1795478400,much\n", r"x\.csv, line 2: .*much"),
        ("timestamp,value\n", r"x\.csv has no rows"),
    ],
)
def test_wrong_csv_is_refused_with_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(SentinelError, match=complaint):
        curve_of_csv(tmp_path / "x.csv")


def test_folder_of_a_backtest_shows_the_most_severe_series_first(found: Path) -> None:
    curves = curves_of_folder(found, most=3)
    assert len(curves) == 3
    severe = [
        sum(mark.severity is Severity.CRITICAL and not math.isnan(mark.value) for mark in c.marks) for c in curves
    ]
    assert severe == sorted(severe, reverse=True)
    assert severe[0] > 0
    assert curves[0].title.startswith("error_rate of ")


def test_entity_and_metric_narrow_the_series(found: Path) -> None:
    curves = curves_of_folder(found, "application-0", "latency_ms_mean")
    assert [curve.title for curve in curves] == ["latency_ms_mean of tenant-0 / application-0 / openai / gpt-4o, 1m"]
    # Of the single absurd call the curve has a mark, but no value.
    assert any(math.isnan(mark.value) for mark in curves[0].marks)
    with pytest.raises(SentinelError, match="no series of entity 'nobody' and metric ''; its metrics are: calls_per_s"):
        curves_of_folder(found, "nobody")


def a_curve(values: list[float]) -> Curve:
    nothing = np.full(len(values), np.nan)
    at_ms = START_AT_MS + 1_000 * np.arange(len(values))
    return Curve("made up", "ms", at_ms, np.array(values), nothing, nothing, nothing)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=300))
def test_thinning_keeps_the_extremes_and_the_order(values: list[float]) -> None:
    thin = a_curve(values).thinned(20)
    assert len(thin.at_ms) <= max(20, 1)
    assert (np.diff(thin.at_ms) > 0).all()
    known = [value for value in values if not math.isnan(value)]
    if known:
        assert [float(np.nanmin(thin.value)), float(np.nanmax(thin.value))] == [min(known), max(known)]


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0, 0.0], [1.0, 1e9, 2.0], [math.nan, 1.0], [-1.0, -1.0]])
def test_whatever_the_values_are_they_are_drawn(values: list[float], tmp_path: Path) -> None:
    drawing.draw([a_curve(values)], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_are_png_and_the_same_svg_each_time(found: Path, series: Path, tmp_path: Path) -> None:
    output = run(str(found), str(series), "--most", "2", "--out", str(tmp_path / "a.png"))
    assert "cpu: 4 values, 1 anomalies" in output
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    for name in ("a.svg", "b.svg"):
        run(str(series), "--out", str(tmp_path / name))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file


def test_time_narrows_the_picture_and_must_hold_something(series: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "a.svg")
    assert "cpu: 2 values, 0 anomalies" in run(str(series), "--to", "2026-11-24T00:06:00Z", "--out", out)
    with pytest.raises(SentinelError, match="cpu has no values between 2027-01-01T00:00:00Z and its end"):
        run(str(series), "--from", "2027-01-01T00:00:00Z", "--out", out)
    with pytest.raises(SentinelError, match="'noon' is no RFC 3339 time"):
        run(str(series), "--from", "noon", "--out", out)


def test_other_formats_and_a_missing_matplotlib_are_refused(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SentinelError, match=r"a\.gif is neither \.png nor \.svg"):
        run(str(series), "--out", str(tmp_path / "a.gif"))
    monkeypatch.setattr(drawing, "find_spec", lambda _name: None)
    with pytest.raises(SentinelError, match=r"install the extra, pip install 'llm-sentinel\[plot\]'"):
        run(str(series), "--out", str(tmp_path / "a.png"))
