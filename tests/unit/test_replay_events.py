"""The replayed world: the same arguments give the same events, and every event is one the project itself accepts."""

import math
from collections import Counter
from functools import cache
from itertools import islice
from uuid import UUID

import numpy as np
import pytest

from jobs.replay.events import generate
from jobs.replay.faults import FaultPlan
from jobs.replay.world import World, default_world
from schemas.codec import decode_event, encode
from schemas.telemetry import Status, TelemetryEvent
from schemas.time import to_at_ms

START_AT_MS = 1_764_000_000_000
QUIET = FaultPlan()


@cache
def _world() -> World:
    return default_world(applications=6, rate_per_s=20.0)


@cache
def _events(seed: int = 7, start_at_ms: int = START_AT_MS, duration_ms: int = 120_000) -> list[TelemetryEvent]:
    return list(generate(_world(), QUIET, seed=seed, start_at_ms=start_at_ms, duration_ms=duration_ms))


def test_equal_arguments_give_equal_events() -> None:
    rebuilt = default_world(applications=6, rate_per_s=20.0)
    again = generate(rebuilt, QUIET, seed=7, start_at_ms=START_AT_MS, duration_ms=120_000)
    assert [encode(event) for event in _events()] == [encode(event) for event in again]


def test_another_seed_gives_other_events() -> None:
    assert not {e.event_id for e in _events(seed=7)} & {e.event_id for e in _events(seed=8)}


def test_a_longer_duration_only_adds_events_at_the_end() -> None:
    longer, shorter = _events(duration_ms=120_000), _events(duration_ms=47_000)
    assert shorter == longer[: len(shorter)]
    assert to_at_ms(longer[len(shorter)].timestamp) >= START_AT_MS + 47_000


def test_another_start_gives_the_same_traffic_under_other_ids() -> None:
    here, later = _events(), _events(start_at_ms=START_AT_MS + 5_000_000)
    assert [e.data for e in here] == [e.data for e in later]
    assert not {e.event_id for e in here} & {e.event_id for e in later}


def test_events_come_in_the_order_of_time_within_the_span() -> None:
    at_ms = [to_at_ms(event.timestamp) for event in _events()]
    assert at_ms == sorted(at_ms)
    assert at_ms[0] >= START_AT_MS
    assert at_ms[-1] < START_AT_MS + 120_000


def test_every_event_is_accepted_unchanged_by_the_codec() -> None:
    for event in _events():
        assert decode_event(encode(event)) == event


def test_ids_are_unique_and_of_the_usual_form() -> None:
    events = _events()
    assert len({event.event_id for event in events}) == len(events)
    assert {UUID(event.event_id).version for event in events} == {8}
    assert all(len(event.trace_id or "") == 32 and int(event.trace_id or "", 16) for event in events)
    assert all(len(event.span_id or "") == 16 for event in events)


def test_a_typical_record_has_500_to_700_bytes() -> None:
    assert 500 <= np.median([len(encode(event)) for event in _events()]) <= 700


def test_failed_calls_have_an_error_type_and_no_tokens_cost_or_first_token() -> None:
    failed = [event.data for event in _events(duration_ms=600_000) if event.data.status is not Status.SUCCESS]
    for data in failed:
        assert data.error_type
        assert data.latency_ms
        assert (data.prompt_tokens, data.completion_tokens, data.cost, data.ttft_ms) == (None, None, None, None)
        assert (data.status is Status.TIMEOUT) == (data.error_type == "timeout")


def test_base_error_rate_is_between_half_and_one_percent() -> None:
    events = _events(duration_ms=600_000)
    failed = sum(event.data.status is not Status.SUCCESS for event in events)
    # Models fail at 0.5 to 1 %; four binomial standard deviations on either side.
    margin = 4 * math.sqrt(0.01 / len(events))
    assert 0.005 - margin < failed / len(events) < 0.01 + margin


def test_cost_follows_tokens_and_price() -> None:
    # USD a million tokens of gpt-4o and claude-sonnet-4: input, cache read, output.
    prices = {"gpt-4o": (2.5, 1.25, 10.0), "claude-sonnet-4-0": (3.0, 0.3, 15.0)}
    checked = Counter[str]()
    for data in (event.data for event in _events()):
        if data.model in prices and data.cost is not None:
            fresh, cached, output = prices[data.model]
            reused = data.cached_tokens or 0
            micro_usd = (data.prompt_tokens or 0) * fresh + reused * (cached - fresh)
            assert data.cost == pytest.approx((micro_usd + (data.completion_tokens or 0) * output) / 1e6, abs=1e-9)
            checked[f"{data.model}{' cached' if reused else ''}"] += 1
    assert {"gpt-4o", "claude-sonnet-4-0", "claude-sonnet-4-0 cached"} <= set(checked)


def test_first_token_waits_for_the_prompt_and_latency_for_every_token() -> None:
    data = [e.data for e in _events(duration_ms=600_000) if e.data.ttft_ms is not None and e.data.model == "gpt-4o"]
    fresh = np.array([(d.prompt_tokens or 0) - (d.cached_tokens or 0) for d in data])
    ttft_ms = np.array([d.ttft_ms for d in data])
    # Beyond 550 tokens each adds 0.1 ms: 4,000 more make at least 300 ms on the medians.
    assert np.median(ttft_ms[fresh > 4_500]) - np.median(ttft_ms[fresh < 550]) > 300.0
    assert all((d.latency_ms or 0.0) >= (d.ttft_ms or 0.0) for d in data)
    # Medians of the endpoint behind this model: 2.44 s in all, 0.635 s to the first of 157 tokens.
    between_ms = [
        ((d.latency_ms or 0.0) - (d.ttft_ms or 0.0)) / (d.completion_tokens - 1)
        for d in data
        if d.completion_tokens is not None and d.completion_tokens > 20
    ]
    assert float(np.median(between_ms)) == pytest.approx((2440 - 635) / 156, rel=0.05)


def test_users_are_zipf_distributed() -> None:
    events = [e for e in _events(duration_ms=600_000) if e.application_id == "support-chat"]
    calls = Counter(event.metadata.user_id for event in events if event.metadata)
    # Of 200 users with exponent 1 the busiest has 1 / H(200) = 0.1701 of the calls.
    share = calls["user-0000"] / len(events)
    assert share == pytest.approx(0.1701, abs=4 * math.sqrt(0.17 * 0.83 / len(events)))


@pytest.mark.parametrize("rate_per_s", [3.0, 100.0])
def test_rate_scales_the_traffic(rate_per_s: float) -> None:
    world = default_world(applications=1, rate_per_s=5.0)
    events = generate(world, QUIET, seed=3, start_at_ms=0, duration_ms=400_000, rate_per_s=rate_per_s)
    # Only chat traffic, whose busiest minute has 2.5 times the calls of its emptiest.
    assert rate_per_s / 2 < sum(1 for _ in events) / 400.0 < rate_per_s * 2


def test_daily_swing_moves_calls_from_evening_to_morning() -> None:
    calm = default_world(applications=1, rate_per_s=0.3)
    swinging = default_world(applications=1, rate_per_s=0.3, daily_swing=0.8)
    day_ms, counts = 86_400_000, []
    for world in (calm, swinging):
        at_ms = [to_at_ms(e.timestamp) for e in generate(world, QUIET, seed=3, start_at_ms=0, duration_ms=day_ms)]
        counts.append(np.histogram(at_ms, [0, day_ms // 2, day_ms])[0])
    # The mean of 1 + 0.8 sin over half a day is 1 +- 0.8 * 2 / pi = 1.51 and 0.49: a ratio of 3.1.
    assert counts[1][0] / counts[1][1] / (counts[0][0] / counts[0][1]) == pytest.approx(3.1, rel=0.15)


def test_world_grows_to_a_hundred_thousand_entities() -> None:
    world = default_world(tenants=100, applications=50_000, models=20)
    assert len({(a.tenant_id, a.application_id, m) for a in world.applications for m in a.models}) == 100_000
    assert len({(m.provider, m.name) for m in world.models}) == 20


def test_generation_starts_without_making_the_whole_replay() -> None:
    endless = generate(_world(), QUIET, seed=1, start_at_ms=START_AT_MS, duration_ms=10**12)
    assert len(list(islice(endless, 100))) == 100


@pytest.mark.parametrize("wrong", [{"tenants": 0}, {"models": 0}, {"rate_per_s": 0.0}, {"daily_swing": 1.0}])
def test_impossible_world_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        default_world(**wrong)  # type: ignore[arg-type]
