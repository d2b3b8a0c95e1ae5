"""Random routing trees and labels: amtool and ours name the same receivers in order, and draw the same tree."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.dispatch.configuration import parse
from udfs.alerting.route import matching_routes
from udfs.alerting.route_text import matching_tree_text, tree_text

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        shutil.which("amtool") is None, reason="amtool (Debian package prometheus-alertmanager) is not here"
    ),
]
SEED = 20260
_NAMES = ("alertname", "model", "tenant_id", "severity", "job")
_VALUES = ("", "a", "b", "ab", "a.b", 'say "hi"', "ü", "back\\slash", "two words", "x,y", "{z}")
_EXPRESSIONS = ("a|b", "a.*", ".+", ".*", "", "[ab]+", "(?i)AB", "ü|a", "a\\.b", "[^a]*")
_RECEIVERS = ("team", "page", "mail", "nobody")


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _matcher(rng: random.Random) -> str:
    name, kind = rng.choice(_NAMES), rng.choice(("=", "!=", "=~", "!~"))
    value = rng.choice(_EXPRESSIONS if "~" in kind else _VALUES)
    plain = value.isalnum() and rng.random() < 0.5
    return f"{name}{kind}{value if plain else _quoted(value)}"


def _route(rng: random.Random, depth: int) -> dict[str, Any]:
    route: dict[str, Any] = {"continue": rng.random() < 0.4}
    if rng.random() < 0.8:
        route["receiver"] = rng.choice(_RECEIVERS)
    if rng.random() < 0.8:
        route["matchers"] = [_matcher(rng) for _ in range(rng.randint(1, 2))]
        if rng.random() < 0.2:
            route["matchers"] = ["{" + ", ".join(route["matchers"]) + "}"]
    if rng.random() < 0.2:
        route["match"] = {rng.choice(_NAMES): rng.choice(_VALUES)}
    if rng.random() < 0.2:
        route["match_re"] = {rng.choice(_NAMES): rng.choice(_EXPRESSIONS[:-1])}
    if depth < 4 and rng.random() < 0.6:
        route["routes"] = [_route(rng, depth + 1) for _ in range(rng.randint(1, 4))]
    return route


def _configurations(rng: random.Random) -> Iterator[str]:
    while True:
        root = {"receiver": "team", "routes": [_route(rng, 1) for _ in range(rng.randint(1, 5))]}
        yield yaml.safe_dump({"route": root, "receivers": [{"name": name} for name in _RECEIVERS]}, allow_unicode=True)


def _labels(rng: random.Random) -> dict[str, str]:
    return {name: rng.choice(_VALUES) for name in _NAMES if rng.random() < 0.6}


def _amtool(file: Path, *arguments: str) -> str:
    command = ["amtool", "config", "routes", arguments[0], f"--config.file={file}", *arguments[1:]]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def _compare(tmp_path: Path, *, trees: int, label_sets: int) -> None:
    rng = random.Random(SEED)
    file = tmp_path / "alertmanager.yml"
    for text, _ in zip(_configurations(rng), range(trees), strict=False):
        file.write_text(text)
        route = parse(text, str(file), tmp_path).settings.route
        assert _amtool(file, "show").strip() == f"Routing tree:\n{tree_text(route)}".strip(), text
        for _ in range(label_sets):
            labels = _labels(rng)
            arguments = [f"{name}={_quoted(value)}" for name, value in labels.items()]
            receivers = ",".join(each.receiver for each in matching_routes(route, labels))
            ours = f"Matching routes:\n{matching_tree_text(route, labels)}\n\n\n{receivers}\n"
            assert _amtool(file, "test", "--tree", *arguments) == ours, f"{labels} in\n{text}"


def test_some_random_trees_reach_the_same_receivers(tmp_path: Path) -> None:
    _compare(tmp_path, trees=8, label_sets=5)


@pytest.mark.slow
def test_a_thousand_labels_reach_the_same_receivers(tmp_path: Path) -> None:
    _compare(tmp_path, trees=200, label_sets=5)
