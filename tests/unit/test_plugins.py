"""A user's own detector is one file: it is found by configuration, travels as text, and is judged by the laws."""

import pickle
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from typer.testing import CliRunner

from jobs.cli.app import app
from jobs.detection.settings import load
from jobs.errors import SentinelError
from tests.documents import DOCUMENTS, blocks_of
from udfs.conformance.examples import examples_of
from udfs.conformance.verdicts import verdicts
from udfs.detectors.zscore import ZScore
from udfs.plugins import PluginError, detectors_in

EXAMPLE = next(
    block.text for block in blocks_of(DOCUMENTS / "adding-a-detector.md") if block.file == "fading_record.py"
)
CONFIGURATION = """
detection:
  plugins: [fading_record.py]
  detectors:
    - {type: fading_record, detector_id: call-record, on: event, metrics: [latency_ms]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the example of the page as one file, and a configuration that names it."""
    (tmp_path / "fading_record.py").write_text(EXAMPLE)
    (tmp_path / "detection.yaml").write_text(CONFIGURATION)
    return tmp_path


def broken(problem: str) -> str:
    """Return the example with a line of it replaced, `old -> new`."""
    old, new = problem.split(" -> ")
    assert old in EXAMPLE
    return EXAMPLE.replace(old, new)


@pytest.fixture
def _plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug-ins loaded from now on are not compiled, which takes seconds each."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)


def problems(text: str) -> dict[str, str]:
    """Return the broken laws of the example's detector on calls, and how they are broken."""
    [kind] = detectors_in("own.py", f"{text}\n# A text of its own: not the module that other tests have compiled.\n")
    judged = verdicts(examples_of(kind)[0], "own.py", seeds=(1,))
    return {each.promise: each.problem for each in judged if each.problem}


def test_configuration_names_a_file_and_uses_its_type(folder: Path) -> None:
    [detector] = load(folder / "detection.yaml").detection.detectors
    assert type(detector).__name__ == "FadingRecord"
    assert detector.warning == 3.0


def test_detector_is_unpickled_by_a_process_that_never_saw_the_file(folder: Path) -> None:
    """As a TaskManager does, in whose interpreter the module was never imported."""
    settings = load(folder / "detection.yaml")
    program = (
        "import pickle, sys; settings = pickle.load(sys.stdin.buffer); [own] = settings.detection.detectors; "
        "from udfs.driver import Driver; Driver(own, own.metrics); print(own.kernels.score.__module__, own.half_life)"
    )
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, input=pickle.dumps(settings), capture_output=True, cwd=folder.parent, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == [type(settings.detection.detectors[0]).__module__, "1000.0"]
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes


def test_two_versions_of_a_file_live_in_one_process() -> None:
    [first] = detectors_in("own.py", EXAMPLE)
    [second] = detectors_in("own.py", broken("half_life: Positive = 1_000.0 -> half_life: Positive = 5.0"))
    assert first is not second
    assert first is detectors_in("elsewhere/own.py", EXAMPLE)[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = (", r"own\.py, line 1: '\(' was never closed; correct the syntax"),
        ("\nimport of_nothing_known", r"line 2: there is no module 'of_nothing_known'; a plug-in is one file"),
        ("\n\n1 / 0", r"line 3: ZeroDivisionError: division by zero"),
        ("x = 1", r"own\.py defines no detector; define a subclass of udfs\.detector\.Detector"),
        (broken("    kernels: ClassVar -> #   kernels: ClassVar"), "FadingRecord has no `kernels`"),
    ],
    ids=["syntax", "module", "error", "no-detector", "no-kernels"],
)
def test_broken_file_is_refused_in_a_sentence_that_names_the_place(text: str, sentence: str) -> None:
    with pytest.raises(PluginError, match=sentence):
        detectors_in("own.py", text)


def test_missing_file_and_taken_tag_are_refused(folder: Path) -> None:
    (folder / "fading_record.py").write_text(broken('tag="fading_record" -> tag="zscore"'))
    with pytest.raises(SentinelError, match="there is already a detector of type 'zscore'; choose another tag"):
        load(folder / "detection.yaml")
    (folder / "fading_record.py").unlink()
    with pytest.raises(SentinelError, match=r"cannot read the plug-in .*fading_record\.py: No such file"):
        load(folder / "detection.yaml")


def test_kernel_that_does_not_compile_is_refused_before_the_job_starts(folder: Path) -> None:
    (folder / "fading_record.py").write_text(broken("x / max(state[_RECORD], 1.0) -> x / of_nothing_known"))
    with pytest.raises(SentinelError, match=r"fading_record\.py.*kernels of FadingRecord do not compile: .*of_nothing"):
        load(folder / "detection.yaml")


@pytest.mark.usefixtures("_plainly")
def test_example_keeps_every_law() -> None:
    assert problems(EXAMPLE) == {}


@pytest.mark.usefixtures("_plainly")
@pytest.mark.parametrize(
    ("problem", "law", "sentence"),
    [
        ("if weight > 0.0: -> if weight >= 0.0:", "an anomaly leaves the baseline alone", "with weight 0 moved"),
        ("return x / max( -> state[0] += 1.0; return x / max(", "scoring changes nothing", "changed the state"),
        ("3.0 * math.log2( -> -3.0 * math.log2(", "the rarer the more surprising", "falls when the raw score rises"),
        ("return x / max( -> return 0.0 * x / max(", "a jump from a constant", "not flagged"),
        ("max(x, state -> 1e300 * max(x, state", "no value crashes or poisons", "state is no longer finite"),
    ],
    ids=["learns-anomalies", "impure", "falling", "blind", "poisoned"],
)
def test_detector_that_breaks_a_law_is_told_which_and_how(problem: str, law: str, sentence: str) -> None:
    found = problems(broken(problem))
    assert any(promise.startswith(law) and sentence in said for promise, said in found.items()), found


@pytest.mark.usefixtures("_plainly")
def test_detector_without_a_width_is_told_what_to_define() -> None:
    text = broken("def state_width -> def some_width")
    assert "must define the property state_width" in problems(text)["it can be built"]


def test_command_finds_an_index_beyond_the_state_by_its_line(folder: Path) -> None:
    """Compiled, it would write into the memory of others."""
    text = broken("state[_RECORD] = max(x -> state[7] = max(x")
    (folder / "fading_record.py").write_text(text)
    result = CliRunner().invoke(app, ["plugin", "check", str(folder / "fading_record.py")])
    assert isinstance(result.exception, SentinelError)
    line = next(k for k, each in enumerate(text.splitlines(), 1) if "state[7]" in each)
    assert f"fading_record.py, line {line}: IndexError: index 7 is out of bounds" in result.output


def test_command_says_what_is_kept_and_what_it_costs(folder: Path) -> None:
    arguments = ["plugin", "check", str(folder / "fading_record.py"), "--config", str(folder / "detection.yaml")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "call-record (FadingRecord on event):" in result.output
    assert "BROKEN" not in result.output
    assert "us an observation" in result.output


def test_built_in_detector_is_no_plug_in_and_pickles_by_name() -> None:
    detector = ZScore(detector_id="z", on="10s", metrics=("latency_ms_mean",), warning=6.0)
    assert b"llm_sentinel_plugin" not in pickle.dumps(detector)
