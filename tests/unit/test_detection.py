"""Detection of one shard: its anomalies are a function of its records."""

from collections.abc import Set as AbstractSet
from functools import cache
from itertools import chain, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.codec import encode
from schemas.dead_letter import RejectReason
from tests.calls import START_AT_MS, call, heartbeat, troubled_calls
from tests.stored import keep
from udfs.aggregates import AGGREGATES
from udfs.control import Control
from udfs.detection import ShardDetection
from udfs.detectors.defaults import default_detectors
from udfs.record_block import block_of
from udfs.settings import DetectionSettings
from udfs.spanning import SpanningDetection

# Users are watched for half an hour by default, longer than the traffic lasts.
SETTINGS = DetectionSettings(
    detectors=tuple(replace(each, warm_up_ms=60_000) if each.entity == "user" else each for each in default_detectors())
)
RECORDS = [encode(event) for event in troubled_calls(900)]


def run(records: list[bytes], cuts: list[int], restarts: AbstractSet[int] = frozenset()) -> list[tuple[str, str]]:
    """Return (anomaly_id, severity) of records cut into batches, the state stored and read again at some cuts."""
    stored: dict[str, bytes] = {}
    spanning_stored: dict[str, bytes] = {}
    shard = ShardDetection(SETTINGS, Control({}), 0)
    spanning = SpanningDetection(SETTINGS, Control({}))
    found = []
    edges = [0, *sorted(set(cuts)), len(records)]
    for number, (start, end) in enumerate(pairwise(edges)):
        if number in restarts:
            shard = ShardDetection(SETTINGS, Control({}), 0, stored.items())
            spanning = SpanningDetection(SETTINGS, Control({}), spanning_stored.items())
        findings = shard.on_records(block_of(records[start:end], range(start, end)))
        anomalies = findings.anomalies
        for share in findings.shares:
            anomalies = [*anomalies, *spanning.on_share(share).anomalies]
        keep(stored, shard.changes())
        keep(spanning_stored, spanning.changes())
        found += [(each.anomaly_id, each.severity.value) for each in anomalies]
    return sorted(found)


@cache
def expected() -> list[tuple[str, str]]:
    """Return what one way of cutting finds."""
    return run(RECORDS, list(range(0, len(RECORDS), 1000)))


def test_troubled_traffic_has_anomalies_of_every_scope() -> None:
    shard, spanning = ShardDetection(SETTINGS, Control({}), 0), SpanningDetection(SETTINGS, Control({}))
    findings = shard.on_records(block_of(RECORDS, range(len(RECORDS))))
    shared = [each for share in findings.shares for each in spanning.on_share(share).anomalies]
    kinds = {each.affected_entity.type.value for each in [*findings.anomalies, *shared]}
    assert kinds == {"model", "user", "tenant_provider", "provider"}
    assert any(each.context.sample_events == (f"event-{len(RECORDS) // 2}",) for each in findings.anomalies)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, len(RECORDS) - 1), min_size=1, max_size=25), st.sets(st.integers(1, 20)))
def test_cuts_and_restarts_change_no_anomaly(cuts: list[int], restarts: set[int]) -> None:
    """Any cutting into batches, and storing and reading the state in between, gives the same anomalies."""
    assert run(RECORDS, cuts, restarts) == expected()


def of_windows(records: list[bytes]) -> set[str]:
    """Return the ids of the window anomalies that one shard finds in records."""
    end = [heartbeat(START_AT_MS + 1_000_000, 0)]
    findings = ShardDetection(SETTINGS, Control({}), 0).on_records(block_of(records + end, range(len(records) + 1)))
    return {each.anomaly_id for each in findings.anomalies if each.context.window_end}


@cache
def in_order() -> set[str]:
    """Return those of the records as they are."""
    return of_windows(RECORDS)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_disorder_within_the_bound_changes_no_window_anomaly(seed: int) -> None:
    """Records delayed by less than the bound give the same window anomalies."""
    rng = np.random.default_rng(seed)
    delayed_ms = np.arange(len(RECORDS)) * 1000 / 30 + rng.uniform(0, SETTINGS.bound_ms * 0.9, len(RECORDS))
    shuffled = [RECORDS[i] for i in np.argsort(delayed_ms, kind="stable")]
    assert of_windows(shuffled) == in_order()


def test_repeated_event_makes_no_second_id() -> None:
    ids = [anomaly_id for anomaly_id, _ in run([record for record in RECORDS for _ in range(2)], [])]
    events = [
        each.anomaly_id
        for each in ShardDetection(SETTINGS, Control({}), 0)
        .on_records(block_of([record for record in RECORDS for _ in range(2)], range(2 * len(RECORDS))))
        .anomalies
        if each.context.sample_events
    ]
    assert events
    assert set(events) <= set(ids)


def test_late_event_is_set_aside_with_its_bytes_and_counts_nowhere() -> None:
    shard = ShardDetection(SETTINGS, Control({}), 3)
    late = encode(call(2, START_AT_MS, 0, 100.0))
    findings = shard.on_records(block_of([encode(call(1, START_AT_MS + 10_000, 0, 100.0)), late], [41, 42]))
    assert findings.late == [("llm-telemetry-3-42", late)]
    closed = shard.on_records(block_of([heartbeat(START_AT_MS + 120_000, 3)], [43]))
    calls = [each.sample_count for each in chain.from_iterable(closed.summaries) if each.metric_name == "calls_per_s"]
    assert calls == [1]


def test_bad_record_becomes_a_dead_letter_and_the_others_go_on() -> None:
    good = encode(call(1, START_AT_MS, 0, 100.0))
    shard = ShardDetection(SETTINGS, Control({}), 1)
    findings = shard.on_records(block_of([good, b"\xff", None, b"{}", good], [5, 6, 7, 8, 9]))
    assert [(each.dead_letter_id, each.reason) for each in findings.dead_letters] == [
        ("llm-telemetry-1-6", RejectReason.NOT_UTF8),
        ("llm-telemetry-1-7", RejectReason.EMPTY),
        ("llm-telemetry-1-8", RejectReason.MISSING_FIELD),
    ]
    closed = shard.on_records(block_of([heartbeat(START_AT_MS + 120_000, 1)], [10]))
    assert {each.sample_count for each in chain.from_iterable(closed.summaries)} == {2}


def test_windows_add_up_to_what_came() -> None:
    """Minute windows hold every call once: counts and sums against the events themselves."""
    events = list(troubled_calls(240))
    shard = ShardDetection(SETTINGS, Control({}), 0)
    records = [*(encode(event) for event in events), heartbeat(START_AT_MS + 600_000, 0)]
    summaries = list(chain.from_iterable(shard.on_records(block_of(records, range(len(records)))).summaries))
    calls = sum(each.value * 60 for each in summaries if each.metric_name == "calls_per_s")
    assert round(calls) == len(events)
    tokens = sum(each.value * 60 for each in summaries if each.metric_name == "tokens_per_s")
    expected = sum((event.data.prompt_tokens or 0) + (event.data.completion_tokens or 0) for event in events)
    assert round(tokens) == expected
    assert len(AGGREGATES) == len(set(AGGREGATES))


ONCE = RECORDS[:4_001]


def summaries(records: list[bytes], exact: DetectionSettings, cut: int) -> tuple[list[bytes], int]:
    """Return the summaries of records, and how many repeats were left out; the state is read again at each cut."""
    stored: dict[str, bytes] = {}
    found: list[bytes] = []
    repeats = 0
    for start in range(0, len(records), cut):
        shard = ShardDetection(exact, Control({}), 0, stored.items())
        findings = shard.on_records(
            block_of(records[start : start + cut], range(start, min(start + cut, len(records))))
        )
        keep(stored, shard.changes())
        found += map(encode, chain.from_iterable(findings.summaries))
        repeats += findings.repeats
    return sorted(found), repeats


@given(st.lists(st.integers(0, 3_900), min_size=1, max_size=30), st.integers(300, 1_000))
@settings(max_examples=10, deadline=None)
def test_dropped_repeats_leave_what_was_sent_once_however_cut_and_restarted(repeated: list[int], cut: int) -> None:
    """Repeats come at once or up to 300 ms later."""
    # Thirty calls a second: nine more records are 300 ms.
    once = [(place, 0, place) for place in range(len(ONCE))]
    again = [(place + 9, 1, place) for place in repeated]
    sent = [ONCE[place] for _, _, place in sorted(once + again)]
    assert summaries(sent, replace(SETTINGS, drop_repeats=True), cut) == (
        SUMMARIES_ONCE,
        len(repeated),
    )


SUMMARIES_ONCE, _ = summaries(ONCE, SETTINGS, 1_000)


def test_repeats_are_counted_unless_they_are_dropped() -> None:
    assert summaries([ONCE[0], *ONCE], SETTINGS, 1_000)[0] != SUMMARIES_ONCE
