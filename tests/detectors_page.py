"""The tables of docs/detectors.md, made from the detectors themselves.

`python -m tests.detectors_page` writes them anew; a test fails while they differ.
"""

import ast
import inspect
import re
import sys
from itertools import pairwise
from pathlib import Path

import msgspec

from udfs.detector import Detector
from udfs.detectors import BUILT_IN
from udfs.detectors.defaults import default_detectors

PAGE = Path(__file__).parents[1] / "docs" / "detectors.md"
BEGIN = "<!-- From here on made by `python -m tests.detectors_page`. -->\n"


def page(text: str) -> str:
    """Return the page with everything behind its marker made anew; raises ValueError if it has none."""
    if BEGIN not in text:
        raise ValueError(f"the page lacks its marker {BEGIN!r}")
    parts = [_overview(), _shared(), *(_section(each) for each in BUILT_IN), _defaults()]
    return text[: text.index(BEGIN) + len(BEGIN)] + "\n" + "\n".join(parts)


def tag_of(detector: type[Detector]) -> str:
    """Return the name that a configuration calls the detector by."""
    return str(detector.__struct_config__.tag)


def own_parameters(detector: type[Detector]) -> tuple[str, ...]:
    """Return the names of the parameters that not every detector has."""
    shared = {field.name for field in msgspec.structs.fields(Detector)}
    return tuple(field.name for field in msgspec.structs.fields(detector) if field.name not in shared)


def _overview() -> str:
    lines = [
        "## At a glance",
        "",
        "| `type` | family | judges | raw score in | floats of state |",
        "|---|---|---|---|---|",
    ]
    judges = {"series": "each metric by itself", "vector": "all metrics together", "silence": "silence"}
    for each in BUILT_IN:
        state = _stated(each, "State") or "none but the header"
        lines.append(
            f"| [`{tag_of(each)}`](#{tag_of(each)}) | {each.detector_type.value} | {judges[each.form]} | {each.unit} "
            f"| {state.rstrip('.')} |"
        )
    return "\n".join(lines) + "\n"


def _shared() -> str:
    rows = _parameter_rows(Detector, tuple(field.name for field in msgspec.structs.fields(Detector)))
    return "## Parameters that every detector has\n\n" + rows


def _section(detector: type[Detector]) -> str:
    # The sentences about raw score, state, warm-up and sources are paragraphs of the docstring.
    text = re.sub(r"``?([^`]+)``?", r"`\1`", inspect.cleandoc(str(detector.__doc__)))
    own = own_parameters(detector)
    table = _parameter_rows(detector, own) if own else "No parameters of its own.\n"
    return f"## {tag_of(detector)}\n\n{text}\n\n{table}"


def _parameter_rows(detector: type[Detector], names: tuple[str, ...]) -> str:
    meanings = _meanings(detector)
    defaults = {field.name: field for field in msgspec.structs.fields(detector)}
    lines = ["| parameter | default | meaning |", "|---|---|---|"]
    for name in names:
        field = defaults[name]
        default = "required" if field.default is msgspec.NODEFAULT else f"`{_yaml(field.default)}`"
        lines.append(f"| `{name}` | {default} | {meanings.get(name, '')} |")
    return "\n".join(lines) + "\n"


def _defaults() -> str:
    lines = [
        "## The default configuration",
        "",
        "| `detector_id` | `type` | on | entity | metrics | warning | critical | warm-up |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in default_detectors():
        metrics = ", ".join(f"`{metric}`" for metric in each.metrics)
        critical = f"{each.critical:g}" if each.critical else "never"
        warm_up = f"{each.warm_up_samples} samples and {each.warm_up_ms / 60_000:g} min"
        lines.append(
            f"| `{each.detector_id}` | `{tag_of(type(each))}` | {each.on} | {each.entity} | {metrics} "
            f"| {each.warning:g} | {critical} | {warm_up} |"
        )
    return "\n".join(lines) + "\n"


def _stated(detector: type[Detector], what: str) -> str:
    """Return what the docstring says after `State:` and the like, up to the end of the sentence."""
    text = " ".join(str(detector.__doc__).split())
    found = re.search(rf"\b{what}: (.+?)\.( |$)", text)
    return found[1] if found else ""


def _meanings(detector: type[Detector]) -> dict[str, str]:
    """Return the docstring behind each field, as far as there is one."""
    tree = ast.parse(inspect.getsource(detector))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: " ".join(doc.value.value.split())
        for field, doc in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }


def _yaml(value: object) -> str:
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.stdout.write(f"{PAGE}\n")
