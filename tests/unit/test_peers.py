"""Peers side by side: what is made of planted calls and of results about them, and what the peers judge by."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.bench.planting import Planting, absurd
from jobs.bench.rates import rate_per_s, steady_part
from jobs.errors import SentinelError
from jobs.replay.bulk import Bulk, bulk_events, bulk_records
from schemas.codec import decode_event, encode
from tests.benchmarks.peers.drain import Drain
from tests.benchmarks.peers.judging import METRICS, WARM_UP_CALLS, entity_of, fresh, is_call, judge
from tests.benchmarks.peers.live import Live, verdict
from tests.benchmarks.peers.results import told
from tests.benchmarks.peers.table import COLUMNS, Row, table
from tests.benchmarks.peers.telemetry import LONGEST_WARM_UP_MS, Numbered, plan_of
from tests.benchmarks.peers.verdict import Crash, Mark, Result, crash, first_told, overtaken, progress

START_AT_MS = 1_764_000_000_000


def results(*event_ids: str, identity: str = "zscore/cost") -> list[Result]:
    return [Result(event_id, identity, place) for place, event_id in enumerate(event_ids)]


def test_a_call_is_lost_only_if_a_later_one_of_its_partition_was_told_of() -> None:
    partitions = [["a", "b", "c", "d"], ["e", "f"]]
    assert crash(partitions, results("a", "c")) == Crash(lost=1, doubled=0, unreached=3)
    assert crash(partitions, []) == Crash(lost=0, doubled=0, unreached=6)


def test_what_a_later_call_of_its_partition_has_overtaken_is_missing() -> None:
    assert overtaken([["a", "b", "c", "d"], ["e", "f"]], {"c", "f"}) == {"a", "b", "e"}
    assert overtaken([["a", "b"]], set()) == set()


def test_a_call_is_doubled_if_the_same_result_comes_twice_and_counts_once() -> None:
    twice = (
        results("a", "a", "a", "b", "b")
        + results("c", identity="zscore/cost")
        + results("c", identity="percentile/cost")
    )
    assert crash([["a", "b", "c"]], twice) == Crash(lost=0, doubled=2, unreached=0)


def test_results_about_other_calls_do_not_count() -> None:
    assert crash([["a"]], results("a", "x", "x")) == Crash(lost=0, doubled=0, unreached=0)
    assert first_told(results("x", "a", "a"), {"a"}) == {"a": 1}


@given(st.permutations(range(40)))
def test_progress_is_that_of_so_many_calls_in_whatever_order_partitions_bring_them(order: Sequence[int]) -> None:
    marks = [Mark(str(i), START_AT_MS + i, 1_000 + 100 * i) for i in range(40)]
    # One is told of every 50 ms: 2,000 records a second.
    readings = progress(marks, {str(i): START_AT_MS + 50 * place for place, i in enumerate(order)})
    first, last = steady_part(readings, 4_900)
    assert rate_per_s(first, last) == pytest.approx(2_000.0)


def test_delays_are_those_of_calls_before_the_crash_alone() -> None:
    partitions = [{"early": 1_000, "late": 39_000}, {"after": 50_000}]
    live = verdict(
        partitions,
        [
            Result("early", "z", 1_025),
            Result("late", "z", 60_000),
            Result("after", "z", 60_010),
            Result("after", "z", 61_000),
        ],
        killed_at_ms=40_000,
    )
    assert live == Live(p50_ms=25, p99_ms=25, timed=1, crash=Crash(0, 1, 0), planted=3)


def test_records_are_numbered_and_planted_calls_noted() -> None:
    bulk = Bulk(events=2_000, start_at_ms=START_AT_MS, entities=20, events_per_s=100.0)
    planting = Planting(start_at_ms=START_AT_MS + 5_000, end_at_ms=START_AT_MS + 20_000, wanted=5)
    numbered = Numbered()
    records = list(numbered.of(bulk_records(bulk, 4), lambda _: planting))
    assert numbered.count == len(records)
    assert {each.event_id for each in numbered.marks} == planting.planted
    for each in numbered.marks:
        assert decode_event(records[each.records - 1].value).event_id == each.event_id


def test_no_application_has_planted_calls_before_and_after_the_longest_warm_up() -> None:
    bulk = Bulk(events=9_000, start_at_ms=START_AT_MS, entities=20, events_per_s=15.0)
    numbered = Numbered()
    records = list(numbered.of(bulk_records(bulk, 4), plan_of(START_AT_MS, 60_000, 600_000)))
    keys: dict[bool, set[bytes | None]] = {False: set(), True: set()}
    for mark in numbered.marks:
        keys[mark.at_ms >= START_AT_MS + LONGEST_WARM_UP_MS].add(records[mark.records - 1].key)
    assert keys[False]
    assert keys[True]
    assert not keys[False] & keys[True]


def test_both_kinds_of_results_name_their_calls() -> None:
    of_peer = b'{"event_id": "a", "detector": "zscore", "metric": "cost", "score": 9.5}'
    assert list(told(of_peer, 7)) == [Result("a", "zscore/cost", 7)]
    anomaly = b'{"anomaly_id": "x", "context": {"sample_events": ["a", "b"]}}'
    assert list(told(anomaly, 7)) == [Result("a", "x", 7), Result("b", "x", 7)]
    assert list(told(b'{"anomaly_id": "y"}', 7)) == []


def test_peers_find_an_absurd_call_in_every_metric_that_it_moves_and_nothing_else() -> None:
    bulk = Bulk(events=3_000, start_at_ms=START_AT_MS, entities=4)
    states: dict[str, list[float]] = {}
    for each in bulk_events(bulk):
        event = msgspec.json.decode(each.value)
        assert is_call(event)
        assert judge(event, states.setdefault(entity_of(event), fresh())) == []
    successful = next(e for each in bulk_events(bulk) if (e := decode_event(each.value)).data.cost is not None)
    strange = msgspec.json.decode(encode(absurd(successful)))
    state = states[entity_of(strange)]
    before = list(state)
    found = judge(strange, state)
    moved = set(METRICS) - {"ttft_ms"}
    assert {(each["detector"], each["metric"]) for each in found} == {
        (detector, metric) for detector in ("zscore", "percentile") for metric in moved
    }
    # What is anomalous is not learnt; the first token was as usual.
    width = len(state) // len(METRICS)
    changed = {METRICS[place // width] for place in range(len(state)) if state[place] != before[place]}
    assert changed == {"ttft_ms"}


def test_peers_learn_what_numpy_computes() -> None:
    values = np.random.default_rng(5).lognormal(6.0, 0.4, 2_000)
    state = fresh()
    for value in values:
        call = {"event_id": "", "timestamp": "", "tenant_id": "", "application_id": "", "data": {"latency_ms": value}}
        judge(call, state)
    count, mean, variance, median, high = state[:5]
    assert count == 2_000 > WARM_UP_CALLS
    logs = np.log1p(values)
    assert mean == pytest.approx(logs.mean())
    assert variance == pytest.approx(logs.var())
    # Stochastic approximation: within some standard errors of the quantile.
    assert median == pytest.approx(np.quantile(logs, 0.5), abs=0.05)
    assert high == pytest.approx(np.quantile(logs, 0.99), abs=0.2)


def drain(events_per_s: float) -> Drain:
    return Drain(events_per_s=events_per_s, steady_s=9, cpu_s_per_million=12.34, peak_mb=100, found=50, planted=50)


def test_the_table_has_medians_spread_and_what_went_wrong() -> None:
    live = Live(p50_ms=30, p99_ms=1_234, timed=500, crash=Crash(lost=2, doubled=71, unreached=4), planted=1_000)
    rows = [
        Row(
            name="sentinel",
            title="LLM-Sentinel",
            way="checkpoints",
            drains=(drain(100_000), drain(90_000), drain(110_000)),
        ),
        Row(name="quix", title="quixstreams 3", way="RocksDB", drains=(drain(20_000),), live=live),
        Row(name="flink_sql", title="SQL", way="checkpoints", judges_calls=False, live=live),
        Row(name="faust", title="faust 1", way="RocksDB", problems=("it cannot be installed",)),
    ]
    lines = table(rows).splitlines()
    assert all(line.count("|") == len(COLUMNS) + 1 for line in lines[:6])
    assert lines[2].startswith(
        "| LLM-Sentinel | 100,000 (90,000 to 110,000) | 1.00 | 12.3 | 100 | - | - | 150 of 150 |"
    )
    assert lines[3].startswith("| quixstreams 3 | 20,000 (20,000 to 20,000) | 5.00 | 12.3 | 100 | 30 | 1,234 |")
    assert lines[3].endswith("| 50 of 50 | 2 (4 not reached) | 71 | RocksDB |")
    # Windows are not timed.
    assert lines[4].startswith("| SQL | not measured | - | - | - | - | - | - | 2 (4 not reached)")
    assert lines[6:] == ["", "- faust 1: it cannot be installed"]


def test_a_peer_that_was_never_told_of_has_no_delay() -> None:
    with pytest.raises(SentinelError, match="Nothing that was planted was found"):
        verdict([{"a": 1}], [], killed_at_ms=100_000)
