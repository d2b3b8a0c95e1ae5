"""Tenants are served in turns of equal bytes, and limited each by its own rates."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ingestion.buffer.files import Files
from jobs.ingestion.buffer.settings import BufferSettings
from jobs.ingestion.buffer.store import Store
from jobs.ingestion.limits import TenantLimits
from tests.buffer_events import numbered
from udfs.ingestion.fair_queue import FairQueue
from udfs.ingestion.rate import NO_LIMITS, Limits, RateState

QUANTUM = 1_000


@given(
    sizes=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3_000), min_size=2),
    turns=st.integers(1, 200),
)
def test_nobody_is_ahead_by_more_than_a_turn_and_an_event(sizes: dict[str, int], turns: int) -> None:
    fair = FairQueue(QUANTUM)
    sent = dict.fromkeys(sizes, 0)
    for tenant in sizes:
        fair.join(tenant)
    for _ in range(turns * len(sizes)):
        turn = fair.turn()
        assert turn is not None
        tenant, allowed = turn
        bytes_ = allowed // sizes[tenant] * sizes[tenant]
        sent[tenant] += bytes_
        fair.served(bytes_, has_more=True)
    assert max(sent.values()) - min(sent.values()) <= QUANTUM + max(sizes.values())
    assert min(sent.values()) > turns * QUANTUM - max(sizes.values())


def test_who_had_nothing_to_send_has_saved_nothing_up() -> None:
    fair = FairQueue(QUANTUM)
    fair.join("a")
    assert fair.turn() == ("a", QUANTUM)
    fair.served(10, has_more=False)
    assert fair.turn() is None
    fair.join("a")
    assert fair.turn() == ("a", QUANTUM)


def test_turn_lasts_until_it_is_served() -> None:
    fair = FairQueue(QUANTUM)
    fair.join("a")
    assert fair.turn() == fair.turn() == ("a", QUANTUM)


def test_small_tenant_is_served_at_once_beside_a_large_backlog(tmp_path: Path) -> None:
    store = Store(BufferSettings(folder=tmp_path), lambda: 0.0, Files())
    store.offer("large", numbered("large", 1, 5_000, 1_000), None)
    store.offer("small", numbered("small", 1, 3), None)
    tenants = [{event.tenant for event in store.take(0)} for _ in range(3)]
    assert tenants == [{"large"}, {"small"}, {"large"}]
    store.close()


def test_limits_hold_over_any_time_and_allow_a_burst() -> None:
    state = RateState(Limits(events_per_s=100, burst_s=2), now_s=0)
    admitted = sum(state.admit(ms / 1_000, events=1, bytes_=500).admitted for ms in range(10_000))
    assert admitted == pytest.approx(200 + 100 * 10, abs=1)


def test_every_cost_is_taken_or_none() -> None:
    state = RateState(Limits(events_per_s=10, bytes_per_s=1_000, tokens_per_s=100, burst_s=1), now_s=0)
    refused = state.admit(0, events=1, bytes_=10, tokens=100_000)
    assert refused.admitted  # more than a full bucket holds, but the bucket is full
    assert state.admit(1, events=1, bytes_=10, tokens=1).violated == ("tokens",)
    assert state.admit(1, events=1, bytes_=10, tokens=0).admitted
    answer = state.admit(1, events=10, bytes_=2_000, tokens=0)
    assert (answer.violated, answer.retry_after_s) == (("events", "bytes"), 1)


def test_headers_follow_the_draft() -> None:
    state = RateState(Limits(events_per_s=100, bytes_per_s=1_000_000, burst_s=2), now_s=0)
    answer = state.admit(0, events=150, bytes_=500_000)
    assert answer.policy_header == '"events";q=200;w=2, "bytes";q=2000000;w=2;qu="content-bytes"'
    assert answer.limit_header == '"events";r=50;t=2, "bytes";r=1500000;t=1'
    refused = state.admit(0.1, events=100, bytes_=1)
    assert (refused.admitted, refused.retry_after_s, refused.violated) == (False, 1, ("events",))
    assert refused.limit_header.startswith('"events";r=60;t=2')


def test_retry_after_is_long_enough() -> None:
    state = RateState(Limits(events_per_s=3, burst_s=1), now_s=0)
    now_s = 0.0
    for _ in range(20):
        answer = state.admit(now_s, events=2, bytes_=0)
        if not answer.admitted:
            now_s += answer.retry_after_s
            assert state.admit(now_s, events=2, bytes_=0).admitted


def test_time_that_stands_or_goes_back_gives_nothing() -> None:
    state = RateState(Limits(events_per_s=10, burst_s=1), now_s=100)
    assert state.admit(100, events=10, bytes_=0).admitted
    assert not state.admit(50, events=1, bytes_=0).admitted
    assert not state.admit(100, events=1, bytes_=0).admitted
    assert state.admit(100.1, events=1, bytes_=0).admitted


def test_tenants_have_limits_of_their_own() -> None:
    limits = TenantLimits({"small": Limits(events_per_s=1, burst_s=1)}, clock=lambda: 0.0)
    assert limits.admit("small", events=1, bytes_=1).admitted
    assert not limits.admit("small", events=1, bytes_=1).admitted
    assert limits.admit("free", events=10**9, bytes_=1) == NO_LIMITS
