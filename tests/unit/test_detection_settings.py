"""The configuration file of the detection job: what it takes and how it refuses."""

from pathlib import Path

import pytest

from jobs.detection.settings import JobSettings, load, read
from jobs.errors import SentinelError
from udfs.detectors import read_detectors
from udfs.detectors.error_rate import ErrorRate

ONE_DETECTOR = """
- type: error_rate
  detector_id: errors
  on: 10s
  warning: 6
"""
SEASON_OF_VALUES = (
    "{type: moving_average, detector_id: m, on: 1m, metrics: [calls_per_s], warning: 3, scale: linear, season: true}"
)


def test_on_is_a_word_and_needs_no_quotes() -> None:
    """YAML 1.1 reads the key `on` as true."""
    [detector] = read_detectors(ONE_DETECTOR)
    assert detector == ErrorRate(detector_id="errors", on="10s", warning=6.0)
    listed = ONE_DETECTOR.replace("\n", "\n    ")
    assert read(f"detection:\n  detectors:{listed}".encode()).detection.detectors == (detector,)


def test_an_empty_file_is_the_default_configuration() -> None:
    assert read(b"") == JobSettings()
    assert read(b"# nothing yet\n") == JobSettings()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kafka: [", "not YAML"),
        ("kafka: {bootstrap: x}", "bootstrap"),
        ("tick_ms: 0", "tick_ms"),
        ("detection: {bound_ms: -1}", "bound_ms"),
        ("detection: {detectors: [{type: oracle}]}", "oracle"),
        (f"detection: {{detectors: [{SEASON_OF_VALUES}]}}", "leave out `scale: linear`"),
        ("- a list", "object"),
        ("just text", "object"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_file_and_the_place(
    text: str, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "detection.yaml"
    file.write_text(text)
    with pytest.raises(SentinelError) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert complaint in str(caught.value)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(SentinelError, match=r"missing\.yaml"):
        load(tmp_path / "missing.yaml")
