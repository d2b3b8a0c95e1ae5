"""What the documentation shows is what the program takes and has."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from jobs.cli.app import COMMANDS
from jobs.detection.settings import JobSettings, KafkaSettings, read
from jobs.ingestion import settings as ingestion_settings
from tests.detectors_page import PAGE, page, tag_of
from tests.documents import DOCUMENTS, blocks_of
from udfs.correlation.settings import CorrelationSettings
from udfs.detector import Detector
from udfs.detectors import BUILT_IN
from udfs.settings import DetectionSettings

PROJECT = DOCUMENTS.parent
OPERATIONS = DOCUMENTS / "operations.md"
PAGES = [*DOCUMENTS.rglob("*.md"), PROJECT / "README.md", PROJECT / "CHANGELOG.md", PROJECT / "k8s" / "README.md"]


def test_tables_of_the_detectors_are_up_to_date() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "run `python -m tests.detectors_page`"


@pytest.mark.parametrize("detector", BUILT_IN, ids=tag_of)
def test_every_parameter_has_a_meaning_and_every_detector_its_warm_up_and_state(detector: type[Detector]) -> None:
    section = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    [own] = [part for part in section if part.startswith(f"{tag_of(detector)}\n")]
    assert "|  |" not in own
    assert "State: " in own or "No state" in own
    assert "Warm-up:" in own
    assert "Raw score: " in own


YAML = [block.text for block in blocks_of(OPERATIONS) if block.language == "yaml"]


@pytest.mark.parametrize("document", YAML, ids=range(len(YAML)))
def test_every_configuration_shown_decodes(document: str) -> None:
    assert isinstance(read(document.encode()), JobSettings)


def test_profile_for_latency_is_the_default_but_for_its_tick() -> None:
    profile = read((PROJECT / "flink-conf" / "job-latency.yaml").read_bytes())
    assert profile == msgspec.structs.replace(JobSettings(), tick_ms=profile.tick_ms)
    assert profile.tick_ms < JobSettings().tick_ms


def test_the_first_configuration_shown_is_the_default_one_and_complete() -> None:
    assert read(YAML[0].encode()) == JobSettings()
    for settings in (JobSettings, KafkaSettings, DetectionSettings, CorrelationSettings):
        # The job looks these two up.
        for name in settings.__struct_fields__:
            assert re.search(rf"^ *(# )?{name}:", YAML[0], re.MULTILINE), name


def test_default_detectors_survive_being_written_and_read() -> None:
    """What operations.md tells to print is a configuration that means the same."""
    written = msgspec.yaml.encode({"detection": {"detectors": DetectionSettings().detectors}})
    assert read(written) == JobSettings()


INGESTION = [block.text for block in blocks_of(DOCUMENTS / "ingestion.md") if block.language == "yaml"]


def test_configurations_of_ingestion_decode_and_the_first_is_the_default_one() -> None:
    first, *others = (ingestion_settings.read(document.encode()) for document in INGESTION)
    assert first == ingestion_settings.IngestionSettings()
    assert [each.role for each in others] == ["sidecar"]


README = PROJECT / "README.md"


def test_readme_names_both_commands_first() -> None:
    first = next(block for block in blocks_of(README) if block.language == "sh")
    assert [line.split("#")[0].strip() for line in first.text.splitlines()] == ["make demo", "make test"]


def test_commands_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    commands = {entry.name for entry in COMMANDS}
    for document in PAGES:
        shell = "".join(block.text for block in blocks_of(document) if block.language == "sh")
        assert set(re.findall(r"\bmake ([a-z-]+)", shell)) <= targets, document
        assert set(re.findall(r"(?:^|/|&& )sentinel ([a-z-]+)", shell, re.MULTILINE)) <= commands, document


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_metric_of_ours_that_an_alert_asks_for_is_documented() -> None:
    [group] = yaml.safe_load((PROJECT / "k8s" / "alert-rules.yaml").read_text())["groups"]
    asked = {name for rule in group["rules"] for name in re.findall(r"operator_sentinel_(\w+)", rule["expr"])}
    assert asked
    for name in asked:
        assert f"| `{name}` |" in OPERATIONS.read_text(), name
