"""What docs/escalation.md shows is read, played, and comes out as it says."""

from pathlib import Path

from jobs.dispatch.native_configuration import load
from jobs.dispatch.simulation import Simulation
from jobs.dispatch.timeline_file import load_timeline
from tests.documents import DOCUMENTS, blocks_of
from udfs.alerting.observation import ANOMALY_FIELDS


def test_the_configuration_and_the_timeline_of_the_page_work_together(tmp_path: Path) -> None:
    for block in blocks_of(DOCUMENTS / "escalation.md"):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    timeline = load_timeline(tmp_path / "timeline.yml")
    lines = Simulation(load(tmp_path / "dispatch.yml").settings, timeline).run()
    assert [line.text for line in lines if line.told] == list(timeline.expect or ())


def test_the_definitions_of_the_page_fit_into_its_configuration(tmp_path: Path) -> None:
    blocks = [block for block in blocks_of(DOCUMENTS / "escalation.md") if block.language == "yaml"]
    (whole,) = (block.text for block in blocks if block.file == "dispatch.yml")
    (definitions,) = (block.text for block in blocks if block.text.startswith("definitions:"))
    file = tmp_path / "dispatch.yml"
    file.write_text(whole + definitions)
    assert [each.alert_id for each in load(file).definitions] == ["many-critical"]


def test_the_page_names_every_field_that_a_pattern_may_look_at() -> None:
    text = (DOCUMENTS / "escalation.md").read_text()
    assert ", ".join(f"`{field}`" for field in ANOMALY_FIELDS) in text
