"""The code blocks of the documentation, for tests that run them."""

import re
from pathlib import Path
from typing import NamedTuple

DOCUMENTS = Path(__file__).parents[1] / "docs"


class Block(NamedTuple):
    """One fenced block: its language, the file it is said to be, empty if none, and its text."""

    language: str
    file: str
    text: str


def blocks_of(document: Path) -> list[Block]:
    """Return the fenced code blocks of a Markdown file, in order."""
    found = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*each) for each in found]
