"""Tries in time: pauses with full jitter, never before the receiver wants, an end, a breaker, a pace."""

from hypothesis import given
from hypothesis import strategies as st

from udfs.alerting import breaker as breakers
from udfs.alerting.breaker import Breaker, begun, ended
from udfs.alerting.outcome import FailureReason, Refused, Retry, Sent
from udfs.alerting.retrying import DEFAULT_POLICY, GiveUp, RetryPolicy, TryAgain, after_failure, pause_limit_ms
from udfs.alerting.token_bucket import BucketPolicy, TokenBucket, taken

FAILED = Retry(reason=FailureReason.SERVER_ERROR, detail="status 503")


@given(tries=st.integers(1, 59), jitter=st.floats(0, 1, exclude_max=True), asked_ms=st.none() | st.integers(0, 60_000))
def test_pause_is_within_its_limit_and_after_what_was_asked(tries: int, jitter: float, asked_ms: int | None) -> None:
    outcome = Retry(reason=FailureReason.RATE_LIMITED, detail="429", retry_after_ms=asked_ms)
    again = after_failure(outcome, tries, 0, 1_000, jitter)
    assert isinstance(again, TryAgain)
    assert (asked_ms or 0) < again.at_ms - 1_000 + 1
    assert again.at_ms - 1_000 <= (asked_ms or 0) + pause_limit_ms(tries)


@given(jitters=st.lists(st.floats(0, 1, exclude_max=True), min_size=60, max_size=60))
def test_every_notification_comes_to_an_end(jitters: list[float]) -> None:
    now_ms = 0
    for tries, jitter in enumerate(jitters, 1):
        again = after_failure(FAILED, tries, 0, now_ms, jitter)
        if isinstance(again, GiveUp):
            assert "given up" in again.detail
            break
        assert again.at_ms > now_ms
        now_ms = again.at_ms
    else:
        raise AssertionError("60 tries and no end")
    assert now_ms <= DEFAULT_POLICY.lasting_ms


def test_refusal_is_the_end() -> None:
    refused = Refused(reason=FailureReason.CLIENT_ERROR, detail="status 400")
    assert after_failure(refused, 1, 0, 0, 0.5) == GiveUp(reason=FailureReason.CLIENT_ERROR, detail="status 400")


def test_old_news_is_given_up() -> None:
    policy = RetryPolicy(lasting_ms=3_600_000)
    assert isinstance(after_failure(FAILED, 2, 0, 3_600_000, 0.9, policy), GiveUp)


def test_breaker_opens_after_failures_in_a_row_and_one_try_decides() -> None:
    state = Breaker()
    for now_ms in range(4):
        state = ended(begun(state, now_ms), FAILED, now_ms)
        assert not state.is_open(now_ms)
    state = ended(state, FAILED, 5)
    assert state.is_open(5)
    assert state.is_open(30_004)
    assert not state.is_open(30_005)
    probing = begun(state, 30_005)
    assert probing.is_open(30_005)
    again = ended(probing, FAILED, 30_006)
    assert again.is_open(30_006 + 59_999)
    assert not again.is_open(30_006 + 60_000)
    assert ended(begun(again, 90_006), Sent(), 90_007) == Breaker()


def test_refusals_and_rate_limits_open_no_breaker() -> None:
    state = Breaker()
    for now_ms in range(20):
        state = ended(state, Refused(reason=FailureReason.CLIENT_ERROR, detail="x"), now_ms)
        state = ended(state, Retry(reason=FailureReason.RATE_LIMITED, detail="x"), now_ms)
    assert state == Breaker()


def test_open_breaker_never_stays_open_for_long() -> None:
    state = Breaker()
    now_ms = 0
    for _ in range(100):
        state = ended(begun(state, now_ms), FAILED, now_ms)
        assert state.open_until_ms - now_ms <= breakers.DEFAULT_POLICY.longest_open_ms
        now_ms = max(now_ms, state.open_until_ms)


@given(gaps_ms=st.lists(st.integers(0, 3_000), min_size=1, max_size=50), burst=st.integers(1, 5))
def test_pace_is_kept(gaps_ms: list[int], burst: int) -> None:
    policy = BucketPolicy(per_s=1.0, burst=burst)
    bucket, now_ms = TokenBucket(), 0
    used: list[int] = []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        bucket, wait_ms = taken(bucket, policy, now_ms)
        used.append(now_ms + wait_ms)
    assert used == sorted(used)
    for i, at_ms in enumerate(used):
        within = sum(at_ms <= each < at_ms + 10_000 for each in used[i:])
        assert within <= 10 + burst
