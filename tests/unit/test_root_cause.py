"""Root cause: the component whose change nobody below it explains."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli.app import app
from jobs.errors import SentinelError
from jobs.root_cause.files import read_graph, read_metrics
from udfs.root_cause import Metrics, Symptom, most_changed_metric, suspects

STEP_MS = 300_000
AT_MS = 3 * STEP_MS
CALLS = {"shop": ("pay", "search"), "pay": ("bank", "store"), "search": ("store",)}
"""The shop calls pay and search; both use the store."""


def measured(latency: dict[str, list[float]], requests: dict[str, float] | None = None) -> Metrics:
    """Return five intervals of latencies, and of equally many requests unless given."""
    length = len(next(iter(latency.values())))
    series = {(name, "latency", "Average"): np.array(values) for name, values in latency.items()}
    counts = {name: (requests or {}).get(name, 100.0) for name in latency}
    series |= {(name, "requests", "Sum"): np.full(length, count) for name, count in counts.items()}
    return Metrics(STEP_MS * np.arange(1, length + 1, dtype=np.int64), series)


SYMPTOM = Symptom("shop", "latency", "Average", AT_MS)
CALM = [0.1, 0.1, 0.1, 0.1, 0.1]
SLOW = [0.1, 0.1, 0.6, 0.6, 0.1]


def order(metrics: Metrics, symptom: Symptom = SYMPTOM, normal: Metrics | None = None) -> list[str]:
    return [each.component for each in suspects(metrics, CALLS, symptom, normal)]


def test_the_deepest_component_that_changed_is_the_cause_and_its_callers_are_explained() -> None:
    found = suspects(measured({"shop": SLOW, "pay": SLOW, "bank": SLOW, "search": CALM, "store": CALM}), CALLS, SYMPTOM)
    assert (found[0].component, found[0].share) == ("bank", 1.0)
    assert found[0].own == pytest.approx(0.5)
    assert [each.own for each in found[1:]] == [0.0] * 4


def test_a_component_that_changed_more_than_those_it_calls_is_the_cause() -> None:
    slower = [0.1, 0.1, 0.2, 0.2, 0.1]
    assert order(measured({"shop": SLOW, "pay": SLOW, "bank": slower, "search": CALM, "store": CALM}))[0] == "pay"


def test_few_calls_explain_little_of_their_caller() -> None:
    """A bank that is asked in one call of a hundred cannot make all payments slow."""
    latency = {"shop": SLOW, "pay": SLOW, "bank": SLOW, "search": CALM, "store": CALM}
    assert order(measured(latency, {"bank": 1.0}))[0] == "pay"


def test_what_moves_to_the_other_side_is_no_suspect() -> None:
    faster = [0.9, 0.9, 0.1, 0.1, 0.9]
    assert order(measured({"shop": SLOW, "pay": SLOW, "bank": CALM, "search": faster, "store": faster}))[0] == "pay"


def test_who_begins_to_call_something_that_fails_is_a_suspect_itself() -> None:
    """Nobody had called the bank before: that it is called is the doing of pay."""
    nothing = [math.nan, math.nan, 0.5, 0.5, math.nan]
    metrics = measured({"shop": SLOW, "pay": SLOW, "bank": nothing, "search": CALM, "store": CALM})
    assert set(order(metrics)[:2]) == {"pay", "bank"}


def test_failures_flow_like_time_and_the_metric_that_changed_is_found() -> None:
    full, fewer = [100.0] * 5, [100.0, 100.0, 80.0, 80.0, 100.0]
    metrics = measured({"shop": fewer, "pay": full, "bank": full, "search": fewer, "store": fewer})
    series = {
        (name, "availability" if metric == "latency" else metric, statistic): values
        for (name, metric, statistic), values in metrics.series.items()
    }
    symptom = Symptom("shop", "availability", "Average", AT_MS)
    assert order(Metrics(metrics.at_ms, series), symptom)[0] == "store"
    noise = {"shop": 0.104, "pay": 0.12, "bank": 0.09, "search": 0.08, "store": 0.11}
    latencies = measured({name: [0.1, 0.1, value, 0.1, 0.1] for name, value in noise.items()}).series
    both = Metrics(metrics.at_ms, {**latencies, **series})
    assert most_changed_metric(both, "shop", "Average", AT_MS, None) == "availability"


def test_what_normally_scatters_as_much_is_no_suspect() -> None:
    metrics = measured({"shop": SLOW, "pay": SLOW, "bank": CALM, "search": CALM, "store": [0.5, 0.5, 1.1, 0.5, 0.5]})
    draw = np.random.default_rng(1)
    usual = {name: (0.1 + 0.001 * draw.standard_normal(50)).tolist() for name in ("shop", "pay", "bank", "search")}
    normal = measured({**usual, "store": draw.uniform(0.1, 5.0, 50).tolist()})
    assert order(metrics)[0] == "store"
    assert order(metrics, normal=normal)[0] == "pay"


def test_level_before_comes_from_the_normal_run_where_the_file_has_none() -> None:
    calm, slow = [0.1, 0.1], [0.6, 0.6]
    metrics = measured({"shop": slow, "pay": slow, "bank": calm, "search": calm, "store": calm})
    normal = measured(dict.fromkeys(["shop", "pay", "bank", "search", "store"], [0.1] * 30))
    symptom = SYMPTOM._replace(at_ms=STEP_MS)
    assert order(metrics, symptom, normal)[0] == "pay"


def test_first_interval_is_before_where_nothing_else_is_known() -> None:
    metrics = measured({"shop": SLOW[1:], "pay": SLOW[1:], "bank": CALM[1:], "search": CALM[1:], "store": CALM[1:]})
    assert order(metrics, SYMPTOM._replace(at_ms=STEP_MS))[0] == "pay"
    alone = measured({"shop": [0.6], "pay": [0.6]})
    with pytest.raises(ValueError, match="'shop' has no latency Average before the time of the symptom"):
        suspects(alone, CALLS, SYMPTOM._replace(at_ms=STEP_MS))


values = st.lists(st.floats(0, 1e6) | st.just(math.nan), min_size=5, max_size=5)


@given(st.fixed_dictionaries(dict.fromkeys(("pay", "bank", "search", "store"), values)))
def test_shares_add_up_and_every_reachable_component_is_ranked_once(latency: dict[str, list[float]]) -> None:
    found = suspects(measured({"shop": SLOW, **latency}), CALLS, SYMPTOM)
    assert sorted(each.component for each in found) == ["bank", "pay", "search", "shop", "store"]
    assert all(each.own >= 0.0 and 0.0 <= each.share <= 1.0 for each in found)
    assert sum(each.share for each in found) == pytest.approx(1.0) or all(each.share == 0.0 for each in found)


def test_cycles_end() -> None:
    metrics = measured({"a": SLOW, "b": SLOW})
    assert len(suspects(metrics, {"a": ("b",), "b": ("a",)}, Symptom("a", "latency", "Average", AT_MS))) == 2


METRICS = """microservice,shop,pay,shop,pay
metric,latency,latency,requests,requests
statistic,Average,Average,Sum,Sum
unix_timestamp,,,,
300,0.1,0.1,100,100
600,0.1,0.1,100,100
900,0.6,0.6,100,100
1200,0.6,,100,0
"""
GRAPH = ",shop,pay\nshop,0,1.0\npay,0,0\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    metrics, graph = tmp_path / "metrics.csv.gz", tmp_path / "graph.csv"
    metrics.write_bytes(gzip.compress(METRICS.encode()))
    graph.write_text(GRAPH)
    return metrics, graph


def test_files_are_read(files: tuple[Path, Path]) -> None:
    metrics = read_metrics(files[0])
    assert metrics.at_ms.tolist() == [300_000, 600_000, 900_000, 1_200_000]
    assert metrics.of("shop", "latency", "Average").tolist() == [0.1, 0.1, 0.6, 0.6]
    assert math.isnan(metrics.of("pay", "latency", "Average")[3])
    assert read_graph(files[1]) == {"shop": ("pay",), "pay": ()}


def run(files: tuple[Path, Path], *arguments: str) -> str:
    result = CliRunner().invoke(
        app, ["root-cause", str(files[0]), "--graph", str(files[1]), *arguments], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    "how", [("shop,latency,Average", "900"), ("shop,latency", ""), ("shop", "1970-01-01T00:15:00Z")]
)
def test_command_names_the_cause_however_the_symptom_is_given(files: tuple[Path, Path], how: tuple[str, str]) -> None:
    target, at = how
    given_ = ["--target", target, *(["--at", at] if at else [])]
    found = json.loads(run(files, *given_, "--json"))
    assert [(each["rank"], each["component"]) for each in found] == [(1, "pay"), (2, "shop")]
    assert found[0]["share"] == 1.0
    assert "latency Average of shop at 1970-01-01T00:15:00.000Z" in run(files, *given_)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--target", "till"], "there is no component 'till'; there are pay, shop"),
        (["--target", "shop"], "say when by --at, or in which metric: --target shop,METRIC"),
        (["--target", "shop,heat", "--at", "900"], "'shop' has no heat Average at the time of the symptom"),
        (["--target", "shop,latency", "--at", "noon"], "'noon' is neither an RFC 3339 time nor"),
    ],
)
def test_symptom_that_is_not_there_is_refused_in_a_sentence(
    files: tuple[Path, Path], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SentinelError, match=complaint):
        run(files, *arguments)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,shop\n", r"m\.csv, line 1 must begin with 'microservice'"),
        (METRICS.replace("0.6,0.6", "much,0.6"), r"m\.csv, line 7: .*much"),
        (METRICS.replace("0.6,0.6", "0.6"), r"m\.csv, line 7 has 3 values for 4 columns"),
        ("\n".join(METRICS.splitlines()[:4]), r"m\.csv has no intervals"),
    ],
)
def test_wrong_metrics_are_refused_with_their_line(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(SentinelError, match=complaint):
        read_metrics(tmp_path / "m.csv")


def test_wrong_graph_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text(",shop,pay\nshop,0\n")
    with pytest.raises(SentinelError, match=r"g\.csv, line 2 must have a name and 2 numbers"):
        read_graph(tmp_path / "g.csv")
