"""Every script in this folder says what the code says; `python -m tests.script FILE...` rewrites the answers."""

from pathlib import Path

import pytest

from tests.script import Script, duration_ms, played

SCRIPTS = sorted(Path(__file__).parent.glob("*.script"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_is_answered_as_written(path: Path) -> None:
    text = path.read_text()
    assert played(text) == text


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_restart_before_every_line_changes_no_answer(path: Path) -> None:
    steady, restarted = Script(), Script()
    for line in path.read_text().splitlines():
        if not line.startswith(">"):
            restarted.obey("restart")
            assert restarted.obey(line) == steady.obey(line)


@pytest.mark.parametrize("line", ["later", "watermark", "5s a b c d", "again"])
def test_line_that_is_no_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no line of a script"):
        Script().obey(line)


def test_duration_without_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration_ms("soon")
