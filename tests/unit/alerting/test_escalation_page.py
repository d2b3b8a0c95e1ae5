"""What docs/escalation.md shows is read, played, and comes out as it says."""

from pathlib import Path

from jobs.dispatch.native_configuration import load
from jobs.dispatch.simulation import Simulation
from jobs.dispatch.timeline_file import load_timeline
from tests.documents import DOCUMENTS, blocks_of


def test_the_configuration_and_the_timeline_of_the_page_work_together(tmp_path: Path) -> None:
    for block in blocks_of(DOCUMENTS / "escalation.md"):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    timeline = load_timeline(tmp_path / "timeline.yml")
    lines = Simulation(load(tmp_path / "dispatch.yml").settings, timeline).run()
    assert [line.text for line in lines if line.told] == list(timeline.expect or ())
