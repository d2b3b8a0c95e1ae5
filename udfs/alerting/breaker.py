"""Circuit breaker of a channel: after failures in a row nobody knocks for a while, then one try decides.

A pure state machine; only failures of the receiver count (server errors, time-outs, no connection), not refusals.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from udfs.alerting.outcome import FailureReason, Outcome, Retry


class BreakerPolicy(Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long."""

    failures: int = 5
    """In a row."""
    open_ms: int = 30_000
    """Doubled every time the deciding try fails."""
    longest_open_ms: int = 600_000


DEFAULT_POLICY: Final = BreakerPolicy()


class Breaker(Struct, frozen=True, kw_only=True):
    """The state of one channel; the default is closed."""

    failures: int = 0
    openings: int = 0
    """How often it opened since the last success."""
    open_until_ms: int = 0
    probing: bool = False
    """Whether the deciding try is under way."""

    def is_open(self, now_ms: int) -> bool:
        """Return whether no try may begin now."""
        return self.openings > 0 and (now_ms < self.open_until_ms or self.probing)


def begun(breaker: Breaker, now_ms: int) -> Breaker:
    """Return the state while a try is under way; only call it where `is_open` is false."""
    return replace(breaker, probing=True) if breaker.openings and now_ms >= breaker.open_until_ms else breaker


def ended(breaker: Breaker, outcome: Outcome, now_ms: int, policy: BreakerPolicy = DEFAULT_POLICY) -> Breaker:
    """Return the state after a try."""
    if not isinstance(outcome, Retry) or outcome.reason is FailureReason.RATE_LIMITED:
        return Breaker()
    failures = breaker.failures + 1
    if failures < policy.failures and not breaker.openings:
        return replace(breaker, failures=failures, probing=False)
    openings = breaker.openings + 1
    open_ms = min(policy.longest_open_ms, policy.open_ms << min(openings - 1, 20))
    return Breaker(failures=failures, openings=openings, open_until_ms=now_ms + open_ms)
