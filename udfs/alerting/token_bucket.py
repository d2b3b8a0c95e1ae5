"""Token bucket: how many messages a channel takes in a while, as a pure function of time."""

from typing import Final

from msgspec import Struct


class BucketPolicy(Struct, frozen=True, kw_only=True):
    """A rate, and how many may come at once."""

    per_s: float
    burst: int = 1


PACE_BY_KIND: Final = {
    "slack": BucketPolicy(per_s=1.0, burst=5),
    "discord": BucketPolicy(per_s=0.5, burst=5),
    "telegram": BucketPolicy(per_s=1.0, burst=5),
    "msteams": BucketPolicy(per_s=1.0, burst=4),
    "msteamsv2": BucketPolicy(per_s=1.0, burst=4),
}
"""What the services themselves allow; kinds that are not named here have no limit."""


class TokenBucket(Struct, frozen=True, kw_only=True):
    """What is left at an instant; the default is a full bucket of any size."""

    tokens: float = float("inf")
    at_ms: int = 0


def taken(bucket: TokenBucket, policy: BucketPolicy, now_ms: int) -> tuple[TokenBucket, int]:
    """Return the bucket without one token more, and in how many milliseconds that may be used.

    Tokens are lent: whoever has to wait keeps its place, so that waiting messages go out in order.
    """
    elapsed_ms = max(0, now_ms - bucket.at_ms)
    tokens = min(float(policy.burst), bucket.tokens + elapsed_ms * policy.per_s / 1_000) - 1.0
    wait_ms = 0 if tokens >= 0 else round(-tokens * 1_000 / policy.per_s)
    return TokenBucket(tokens=tokens, at_ms=now_ms), wait_ms
