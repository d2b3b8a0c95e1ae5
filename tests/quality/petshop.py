"""How often the component at fault is among the first suspects, over incidents of the PetShop data set.

    python -m tests.quality.petshop FOLDER

FOLDER holds runs as Hardt et al. 2024, The PetShop Dataset, publish them: `<run>/graph.csv`,
`<run>/<part>/issue_<n>/metrics.csv` with `target.json`, and `<run>/noissue/metrics.csv.gz`, which is used where it is
there. Prints this part of docs/quality.md; the floor is a ranking by the change alone, without the graph.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from jobs.root_cause.files import read_graph, read_metrics
from tests.quality.page import table
from udfs.root_cause import Metrics, Symptom, suspects

FIRST = (1, 3, 5)


class Target(Struct):
    """What was felt."""

    node: str
    metric: str
    agg: str
    timestamp: float


class Cause(Struct):
    """What was at fault."""

    node: str


class Issue(Struct):
    """`target.json`."""

    target: Target
    root_cause: Cause


class Ranked(NamedTuple):
    """One incident: the place of the component at fault among the suspects, from 1 on."""

    name: str
    metric: str
    cause: str
    place: int
    place_by_change: int


def ranked(folder: Path, calls: dict[str, tuple[str, ...]], normal: Metrics | None) -> Ranked:
    """Return how one incident was ranked."""
    issue = msgspec.json.decode((folder / "target.json").read_bytes(), type=Issue)
    target = issue.target
    symptom = Symptom(target.node, target.metric, target.agg, round(target.timestamp * 1000))
    found = suspects(read_metrics(folder / "metrics.csv"), calls, symptom, normal)
    side = next(each.during - each.before for each in found if each.component == target.node)
    by_change = sorted(found, key=lambda each: -np.nan_to_num((each.during - each.before) * side))
    names, changed = [each.component for each in found], [each.component for each in by_change]
    return Ranked(
        f"{folder.parents[1].name}/{folder.name}",
        target.metric,
        issue.root_cause.node,
        names.index(issue.root_cause.node) + 1,
        changed.index(issue.root_cause.node) + 1,
    )


def evaluated(folder: Path, *, with_normal: bool = True) -> list[Ranked]:
    """Return all incidents of a folder of runs."""
    found = []
    for graph in sorted(folder.glob("*/graph.csv")):
        calls = read_graph(graph)
        normal_file = graph.parent / "noissue" / "metrics.csv.gz"
        normal = read_metrics(normal_file) if with_normal and normal_file.exists() else None
        found += [ranked(path.parent, calls, normal) for path in sorted(graph.parent.glob("*/issue_*/target.json"))]
    return found


TOP = """## Root cause

`sentinel root-cause` ([root-cause.md](root-cause.md)) over the incidents of the development part of the PetShop data
set (Hardt et al. 2024, CC-BY-4.0; 41 components, five intervals of five minutes each). Nothing is fitted.
"""


def section(folder: Path) -> str:
    """Return the part of the page on quality."""
    incidents = evaluated(folder)
    places = {
        "as described": [each.place for each in incidents],
        "without a normal time to compare with": [each.place for each in evaluated(folder, with_normal=False)],
        "floor: ranked by the change alone": [each.place_by_change for each in incidents],
    }
    rows = [
        (name, *(f"{sum(place <= first for place in found)} of {len(found)}" for first in FIRST))
        for name, found in places.items()
    ]
    head = ("component at fault is", *(f"among the first {first}" if first > 1 else "first" for first in FIRST))
    return f"{TOP}\n{table(head, rows)}"


if __name__ == "__main__":
    sys.stdout.write(section(Path(sys.argv[1])))
