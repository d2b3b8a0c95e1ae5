"""What docs/adding-a-detector.md says works when it is followed."""

import runpy
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from jobs.cli.app import app
from schemas.anomaly import Anomaly, Severity
from tests.documents import DOCUMENTS, blocks_of
from udfs.detectors import PLUGIN_GROUP, installed_detectors

BLOCKS = blocks_of(DOCUMENTS / "adding-a-detector.md")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's files, installed as pip would: the module on the path, beside its metadata."""
    for block in BLOCKS:
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    entries = "".join(f"{name} = {target}\n" for name, target in project["entry-points"][PLUGIN_GROUP].items())
    (metadata / "entry_points.txt").write_text(f"[{PLUGIN_GROUP}]\n{entries}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("fading_record", None)


def test_the_page_leads_to_a_detector_that_finds_the_planted_call(package: Path) -> None:
    assert "fading_record" in {each.__struct_config__.tag for each in installed_detectors()}
    [commands] = [block.text for block in BLOCKS if block.language == "sh"]
    for command in commands.splitlines():
        program, *arguments = shlex.split(command)
        if program == "python":
            runpy.run_path(arguments[0])
        else:
            result = CliRunner().invoke(app, arguments, catch_exceptions=False)
            assert result.exit_code == 0, result.output
    lines = (package / "found" / "anomalies.jsonl").read_bytes().splitlines()
    [anomaly] = [msgspec.json.decode(line, type=Anomaly) for line in lines]
    assert (anomaly.detector_id, anomaly.severity) == ("call-record", Severity.CRITICAL)
    assert anomaly.context.sample_events == ("call-600",)
    assert (anomaly.method, anomaly.metric, anomaly.unit) == ("multiple of the fading record", "latency_ms", "ms")
