"""`sentinel alerts on-call` prints shifts by the wall clock of each schedule."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli.alerts import alerts
from jobs.errors import SentinelError

FILE = Path(__file__).parents[2] / "golden" / "dispatch" / "native.yml"
START = ("--from", "2026-11-02T12:00:00Z")


def test_shifts_are_printed_without_a_gap() -> None:
    found = CliRunner().invoke(alerts, ["on-call", str(FILE), "--schedule", "ops", *START, "--days", "1"])
    assert found.output.splitlines() == [
        "ops (Europe/Berlin)",
        "  Mon 2026-11-02 13:00 - Mon 2026-11-02 22:00  ada (week)",
        "  Mon 2026-11-02 22:00 - Tue 2026-11-03 06:00  bob (night)",
        "  Tue 2026-11-03 06:00 - Tue 2026-11-03 13:00  ada (week)",
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--schedule", "x"], "has no schedule x; there are ops"),
        (["--layer", "x"], "schedule ops has no layer x; it has week, night"),
        (["--from", "monday"], "--from: monday is no time"),
    ],
)
def test_a_wrong_name_or_time_is_one_clear_sentence(arguments: list[str], problem: str) -> None:
    found = CliRunner().invoke(alerts, ["on-call", str(FILE), *arguments])
    assert isinstance(found.exception, SentinelError)
    assert problem in str(found.exception)
