"""Events by the million: the published schema, fixed by a seed, at the stated rate, with known oddities."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.replay.bulk import Bulk, bulk_events, planted
from schemas.codec import decode_event
from schemas.telemetry import Status
from schemas.time import to_at_ms

START_AT_MS = 1_764_000_000_000


def test_every_event_is_accepted_by_the_codec_and_has_about_600_bytes() -> None:
    events = list(bulk_events(Bulk(events=5_000, start_at_ms=START_AT_MS)))
    decoded = [decode_event(event.value) for event in events]
    assert 560 <= np.mean([len(event.value) for event in events]) <= 640
    assert len({event.event_id for event in decoded}) == 5_000
    for event, known in zip(events, decoded, strict=True):
        assert event.key == f"{known.tenant_id}|{known.application_id}".encode()
        assert to_at_ms(known.timestamp) == event.at_ms
        assert (known.data.status is Status.SUCCESS) == (known.data.cost is not None)
    failed = sum(event.data.status is not Status.SUCCESS for event in decoded)
    # 0.7 % of 5,000 are 35; four standard deviations are 24.
    assert failed == pytest.approx(35, abs=24)


def test_equal_values_make_equal_events_and_another_seed_others() -> None:
    bulk = Bulk(events=1_000, start_at_ms=START_AT_MS, absurd=2)
    assert list(bulk_events(bulk)) == list(bulk_events(bulk))
    other = bulk_events(Bulk(events=1_000, start_at_ms=START_AT_MS, absurd=2, seed=2))
    assert not {event.value for event in bulk_events(bulk)} & {event.value for event in other}


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    longer = list(bulk_events(Bulk(events=6_000, start_at_ms=START_AT_MS)))
    assert list(bulk_events(Bulk(events=4_500, start_at_ms=START_AT_MS))) == longer[:4_500]


@settings(max_examples=10)
@given(events_per_s=st.floats(0.5, 100_000.0), number=st.integers(1, 300))
def test_event_time_advances_at_the_stated_rate(events_per_s: float, number: int) -> None:
    bulk = Bulk(events=number, start_at_ms=START_AT_MS, events_per_s=events_per_s)
    at_ms = [event.at_ms for event in bulk_events(bulk)]
    assert at_ms == sorted(at_ms)
    # Rounded down to the millisecond; a product may fall on the other side of a whole one.
    assert START_AT_MS + (number - 1) * 1000.0 / events_per_s - at_ms[-1] == pytest.approx(0.5, abs=0.5 + 1e-6)


def test_entities_are_as_many_as_wanted_and_equally_busy() -> None:
    events = bulk_events(Bulk(events=20_000, start_at_ms=START_AT_MS, entities=50))
    decoded = [decode_event(event.value) for event in events]
    calls = Counter((e.tenant_id, e.application_id, e.data.provider, e.data.model) for e in decoded)
    assert len(calls) == 50
    # 400 each; the largest of 50 Poisson counts stays within five standard deviations, 100.
    assert min(calls.values()) > 300
    assert max(calls.values()) < 500


def test_planted_events_are_absurd_and_the_others_are_not() -> None:
    bulk = Bulk(events=15_000, start_at_ms=START_AT_MS, absurd=25)
    truth = planted(bulk)
    assert len(truth) == 25
    assert [at_ms for _, at_ms in truth] == sorted(at_ms for _, at_ms in truth)
    # Nothing in the first third: 5,000 events at 5,000 a second.
    assert truth[0].at_ms >= START_AT_MS + 1_000
    ids = dict(truth)
    for event in bulk_events(bulk):
        data = decode_event(event.value)
        strange = (data.data.latency_ms or 0.0) > 200_000.0
        assert strange == (data.event_id in ids)
        if strange:
            assert ids[data.event_id] == event.at_ms
            assert data.data.status is Status.SUCCESS
