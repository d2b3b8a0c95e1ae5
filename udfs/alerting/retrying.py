"""When to try again: exponential pauses with full jitter, never before the receiver wants, up to a last try.

Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog 2015 (full jitter).
"""

from typing import Final

from msgspec import Struct

from udfs.alerting.outcome import FailureReason, Refused, Retry


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often and for how long a notification is tried; the defaults last about as long as a night."""

    first_pause_ms: int = 500
    longest_pause_ms: int = 600_000
    tries: int = 60
    """With the last of them the notification goes to the dead letters."""
    lasting_ms: int = 12 * 3_600_000
    """After that a notification is no news any more."""


DEFAULT_POLICY: Final = RetryPolicy()


class TryAgain(Struct, frozen=True, kw_only=True):
    """Another try is worth while, not before an instant."""

    at_ms: int


class GiveUp(Struct, frozen=True, kw_only=True):
    """No other try: the notification is a dead letter."""

    reason: FailureReason
    detail: str


def after_failure(
    outcome: Retry | Refused,
    tries: int,
    begun_at_ms: int,
    now_ms: int,
    jitter: float,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> TryAgain | GiveUp:
    """Return what follows the failed try number `tries` (from 1) of a notification made at `begun_at_ms`.

    `jitter` in [0, 1) spreads the pause over all its length. What the receiver asked for is the least pause.
    """
    if isinstance(outcome, Refused):
        return GiveUp(reason=outcome.reason, detail=outcome.detail)
    if tries >= policy.tries:
        return GiveUp(reason=outcome.reason, detail=f"{outcome.detail}; given up after {tries} tries")
    pause_ms = int(pause_limit_ms(tries, policy) * jitter)
    if outcome.retry_after_ms is not None:
        pause_ms += outcome.retry_after_ms
    at_ms = now_ms + max(1, pause_ms)
    if at_ms - begun_at_ms > policy.lasting_ms:
        hours = policy.lasting_ms / 3_600_000
        return GiveUp(reason=outcome.reason, detail=f"{outcome.detail}; given up after {hours:g} hours")
    return TryAgain(at_ms=at_ms)


def pause_limit_ms(tries: int, policy: RetryPolicy = DEFAULT_POLICY) -> int:
    """Return the longest pause after a failed try."""
    return min(policy.longest_pause_ms, policy.first_pause_ms << min(tries - 1, 40))
