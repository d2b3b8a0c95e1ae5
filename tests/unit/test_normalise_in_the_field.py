"""What instrumentations in the field send, and exactly what comes of it."""

import json
from pathlib import Path

import pytest

from jobs.ingestion.prices import SHIPPED, read_file
from schemas.codec import check_event, decode_event
from tests.telemetry_in_the_field import FILES, results
from udfs.normalise.mapping import PRECEDENCE, operations, price_lists, providers, rows
from udfs.normalise.reading import READINGS, SEVERAL

RECORDED = sorted(FILES.glob("*/*.json"))
PRICES = read_file(SHIPPED).table()


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_telemetry_gives_exactly_these_events(path: Path) -> None:
    recorded = json.loads(path.read_text())
    assert recorded["source"].startswith("https://")
    found = json.loads(json.dumps(results(path, PRICES)))
    assert found == {name: recorded[name] for name in found}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_event_meets_the_published_schema(path: Path) -> None:
    for event in json.loads(path.read_text())["events"]:
        check_event(decode_event(json.dumps(event).encode()))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_event_holds_what_was_said(path: Path) -> None:
    written = json.dumps(json.loads(path.read_text())["events"])
    for said in (
        "capital of France",
        "Write a haiku",
        "Weather in",
        "ignore all previous",
        "hugo@example.com",
        "bash_command",
    ):
        assert said not in written


def test_every_row_of_the_mapping_names_a_reading_and_is_there_once() -> None:
    every = rows(*PRECEDENCE)
    assert len({row.attribute for row in every}) == len(every)
    known = {*READINGS, *SEVERAL, "parts", "tag", ""}
    assert {row.reading for row in every} <= known
    assert all(row.field or row.reading in {*SEVERAL, ""} for row in every)


def test_a_provider_and_an_operation_have_one_name_of_ours() -> None:
    assert all(providers()[name] == name for name in set(providers().values()))
    assert all(name in {each for each, _ in operations().values()} for name in ("chat", "embeddings", "execute_tool"))
    listed = {each.provider for each in PRICES}
    assert {name for lists in price_lists().values() for name in lists} - {"*"} <= listed
