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
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the page's files."""
    for block in BLOCKS:
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def _installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's package, installed as pip would: the module on the path, beside its metadata."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    entries = "".join(f"{name} = {target}\n" for name, target in project["entry-points"][PLUGIN_GROUP].items())
    (metadata / "entry_points.txt").write_text(f"[{PLUGIN_GROUP}]\n{entries}")
    monkeypatch.syspath_prepend(folder)
    yield
    sys.modules.pop("fading_record", None)


@pytest.mark.usefixtures("_installed")
def test_package_of_the_page_makes_its_type_known() -> None:
    assert "fading_record" in {each.__struct_config__.tag for each in installed_detectors()}


def test_the_page_leads_to_a_detector_that_finds_the_planted_call(folder: Path) -> None:
    for command in "".join(block.text for block in BLOCKS if block.language == "sh").splitlines():
        program, *arguments = shlex.split(command)
        if program == "python":
            runpy.run_path(arguments[0])
        else:
            result = CliRunner().invoke(app, arguments, catch_exceptions=False)
            assert result.exit_code == 0, result.output
    lines = (folder / "found" / "anomalies.jsonl").read_bytes().splitlines()
    [anomaly] = [msgspec.json.decode(line, type=Anomaly) for line in lines]
    assert (anomaly.detector_id, anomaly.severity) == ("call-record", Severity.CRITICAL)
    assert anomaly.context.sample_events == ("call-600",)
    assert (anomaly.method, anomaly.metric, anomaly.unit) == ("multiple of the fading record", "latency_ms", "ms")
