"""A shard's windows by tenant and provider are what adding them up one by one gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from udfs.aggregates import AGGREGATES, MAXIMA
from udfs.entity import SEPARATOR
from udfs.moved import Part
from udfs.provider_sums import ProviderSums
from udfs.series_state import Block, Layout, SeriesState
from udfs.spanning import SharedWindow

KEYS = [
    SEPARATOR.join((p, m, t, a)) for p in ("openai", "mistral") for m in ("big", "small") for t in "xy" for a in "ab"
]
NONE = np.empty(0, dtype=np.int64)
ONE = np.zeros((1, len(AGGREGATES)))


def one_by_one(windows: list[tuple[int, int, list[float]]], parts: dict[int, list[Part]]) -> list[SharedWindow]:
    sums: dict[tuple[int, str, str], SharedWindow] = {}
    for place, (row, end, counts) in enumerate(windows):
        provider, _, tenant, _ = KEYS[row].split(SEPARATOR)
        known = sums.get((end, tenant, provider))
        before = known.counts if known else [0.0] * len(AGGREGATES)
        both = [
            max(old, new) if column in MAXIMA else old + new
            for column, (old, new) in enumerate(zip(before, counts, strict=True))
        ]
        far = [*(known.parts if known else ()), *parts.get(place, ())]
        sums[end, tenant, provider] = SharedWindow(end, tenant, provider, both, far)
    return list(sums.values())


def in_order(shared: list[SharedWindow]) -> list[tuple[int, str, str, list[float], list[Part]]]:
    return sorted(
        (each.end_ms, each.tenant, each.provider, each.counts, sorted(each.parts, key=lambda part: part.model))
        for each in shared
    )


@given(
    windows=st.lists(
        st.tuples(
            st.integers(0, len(KEYS) - 1),
            st.sampled_from([10_000, 20_000]),
            st.lists(st.integers(0, 9).map(float), min_size=len(AGGREGATES), max_size=len(AGGREGATES)),
        ),
        max_size=12,
    ),
    far=st.sets(st.integers(0, 11)),
)
def test_sums_are_those_of_adding_one_by_one(windows: list[tuple[int, int, list[float]]], far: set[int]) -> None:
    state = SeriesState("event/model", Layout([Block("windows", 1, 1)]))
    state.rows(KEYS[:3])
    sums = ProviderSums(state)
    assert sums.add_up(NONE, NONE, np.empty((0, len(AGGREGATES))), {}) == []
    assert len(sums.add_up(np.array([0]), np.array([0]), ONE, {})) == 1
    # Keys that come later have a number, too.
    state.rows(KEYS)
    rows, ends = (np.array([window[column] for window in windows], dtype=np.int64) for column in (0, 1))
    aggregates = np.array([counts for _, _, counts in windows]).reshape(-1, len(AGGREGATES))
    parts = {place: [Part("latency_ms_mean", "t", "a", str(place), 1.0)] for place in far if place < len(windows)}
    assert in_order(sums.add_up(rows, ends, aggregates, parts)) == in_order(one_by_one(windows, parts))


def test_numbers_follow_rows_that_were_dropped() -> None:
    state = SeriesState("event/model", Layout([Block("windows", 1, 1)]))
    state.rows(KEYS)
    sums = ProviderSums(state)
    last, at_0 = len(KEYS) - 1, np.array([0])
    assert sums.add_up(np.array([last]), at_0, ONE, {})[0].provider == "mistral"
    state.forget(range(last))
    assert [(each.tenant, each.provider) for each in sums.add_up(at_0, at_0, ONE, {})] == [("y", "mistral")]
