"""What benchmarks compute from what they read: rates, delays, planted events, counters."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.bench.counters import Counted
from jobs.bench.delays import delays_ms, percentile, window_delays_ms
from jobs.bench.live import divided
from jobs.bench.planting import APART_MS, Planting, most_plantable
from jobs.bench.rates import Reading, rate_per_s, steady_part
from jobs.bench.surroundings import jar_version, processor
from jobs.errors import SentinelError
from jobs.replay.bulk import ABSURD_LATENCY, ABSURD_TOKENS, Bulk, bulk_records
from jobs.replay.stream import Record
from schemas.codec import decode_event

START_AT_MS = 1_764_000_000_000


def test_steady_rate_leaves_out_a_slow_start_and_a_slow_end() -> None:
    # 20 a second for 20 s, then 100 a second for 5 s, then 10 a second for 10 s: 1,000 in all.
    counts = [20 * s for s in range(21)] + [400 + 100 * s for s in range(1, 6)] + [900 + 10 * s for s in range(1, 11)]
    readings = [Reading(float(s), count) for s, count in enumerate(counts)]
    first, last = steady_part(readings, 1_000)
    assert (first.records, last.records) == (400, 900)
    assert rate_per_s(first, last) == pytest.approx(100.0)


def test_a_drain_seen_too_seldom_is_no_figure() -> None:
    readings = [Reading(0.0, 0), Reading(1.0, 250), Reading(2.0, 500), Reading(3.0, 750), Reading(4.0, 1_000)]
    with pytest.raises(SentinelError, match="too short to measure"):
        steady_part(readings, 1_000)


def test_a_counter_that_falls_means_a_restart() -> None:
    readings = [Reading(float(s), count) for s, count in enumerate([0, 200, 300, 100, 400, 500, 600, 1_000])]
    with pytest.raises(SentinelError, match="restarted"):
        steady_part(readings, 1_000)


def test_an_event_counts_once_by_its_earliest_anomaly() -> None:
    appended = {"a": 100, "b": 200, "never-found": 300}
    found = [("a", 190), ("a", 140), ("b", 230), ("not-planted", 120), ("", 1)]
    assert delays_ms(appended, found) == [40, 30]


def test_a_windows_delay_begins_at_its_end_and_the_bound_by_the_clock_of_events() -> None:
    # The broker's clock is 1,000 ms ahead of event time; one event waited 7 ms on its way to the broker.
    event_at_ms = {"a": 5_000, "b": 6_000}
    appended = {"a": 6_000, "b": 7_007}
    assert window_delays_ms([(10_000, 11_640), (20_000, 21_500)], event_at_ms, appended, bound_ms=500) == [140, 0]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=300), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_percentile_is_the_nearest_rank(values: list[int], share: float) -> None:
    # numpy's inverted_cdf is Hyndman and Fan's type 1.
    assert percentile(values, share) == np.quantile(values, share, method="inverted_cdf")


def test_nothing_found_has_no_percentile() -> None:
    with pytest.raises(SentinelError, match="Nothing that was planted was found"):
        percentile([], 0.5)


def records(events: int) -> Iterator[Record]:
    """Return 100 events a second of 20 entities in two partitions."""
    return bulk_records(Bulk(events=events, start_at_ms=START_AT_MS, entities=20, events_per_s=100.0), 2)


def test_planted_events_are_as_many_as_wanted_evenly_spread_and_apart() -> None:
    # 200 s of events; 20 events planted over the second half of them, one in 5 s.
    planting = Planting(start_at_ms=START_AT_MS + 100_000, end_at_ms=START_AT_MS + 200_000, wanted=20)
    before, after = list(records(20_000)), list(planting.planted_in(records(20_000)))
    assert len(after) == len(before)
    changed = [(b, a) for b, a in zip(before, after, strict=True) if a != b]
    assert len(changed) == len(planting.planted) == 20
    last: dict[str, int] = {}
    for number, (was, now) in enumerate(changed):
        old, new = decode_event(was.value), decode_event(now.value)
        assert new.event_id in planting.planted
        assert new.timestamp == old.timestamp
        assert new.data.latency_ms == pytest.approx((old.data.latency_ms or 0.0) * ABSURD_LATENCY)
        assert new.data.prompt_tokens == (old.data.prompt_tokens or 0) * ABSURD_TOKENS
        due_ms = START_AT_MS + 100_000 + number * 5_000
        # At most 13 of the 20 entities rest, so a rested one comes within a few events of 10 ms.
        assert due_ms <= now.due_ms < due_ms + 1_000
        entity = f"{new.application_id}/{new.data.model}"
        assert now.due_ms - last.get(entity, 0) >= APART_MS
        last[entity] = now.due_ms


def test_half_of_the_entities_may_rest() -> None:
    assert most_plantable(2_000, 2 * APART_MS) == 2_000
    assert most_plantable(2_000, 1) == 1_000


def test_divided_records_are_all_there_in_their_order() -> None:
    wanted = list(records(1_000))
    counted = Counted()
    history, live = divided(counted.of(records(1_000)), START_AT_MS + 3_000)
    first, second = list(history), list(live)
    assert first + second == wanted
    assert max(each.due_ms for each in first) < START_AT_MS + 3_000 <= min(each.due_ms for each in second)
    assert counted.records == len(wanted)


def test_surroundings_are_read_from_what_the_machine_has(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: A Fast One @ 3 GHz\n")
    assert processor(cpuinfo) == "A Fast One @ 3 GHz"
    assert jar_version(["kafka-clients-4.3.1.jar", "kafka_2.13-4.3.1.jar"], "kafka") == "4.3.1"
