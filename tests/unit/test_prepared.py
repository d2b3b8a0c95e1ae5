"""What threads decode is described before they begin: half-made descriptions end the process (SIGSEGV)."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

PROGRAM = """
import gc

{start}
from msgspec import Struct
from schemas.prepared import known_types
from schemas.rule import Rule

def is_described(kind):
    return any(type(each).__name__ == "StructInfo" for each in gc.get_referents(kind))

assert is_described(Rule)
print(*(each.__name__ for each in known_types(Struct) if not is_described(each)))
"""


@pytest.mark.parametrize(
    "start",
    [
        "import operators.detect",
        "import operators.roll_up",
        "import operators.keyed, udfs.correlation.tenant, udfs.correlation.provider",
    ],
)
def test_operators_find_every_type_described(start: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(start=start)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_nothing_is_described_without_need() -> None:
    """The test above can fail: a type that was only imported is not described."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(start="")], capture_output=True, text=True, check=False)
    assert "AssertionError" in done.stderr


def test_types_that_cannot_be_decoded_are_left_alone() -> None:
    """Some of ingestion and dispatch have fields that are named for the type checker alone."""
    program = "import jobs.ingestion.program, jobs.dispatch.process, schemas.prepared as it; it.prepare_types()"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
