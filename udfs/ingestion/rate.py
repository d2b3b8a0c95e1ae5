"""Limits per tenant in events, bytes and tokens a second, and how they are told to the sender.

Token buckets (Turner, 1986), refilled continuously. The headers follow the IETF draft "RateLimit header fields for
HTTP", draft-ietf-httpapi-ratelimit-headers-10.
"""

from math import ceil
from typing import Annotated, Final

from msgspec import Meta, Struct

Rate = Annotated[float, Meta(gt=0)]

_WINDOW_S: Final = 1


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant may send; None is no limit. Up to `burst_s` seconds' worth may come at once."""

    events_per_s: Rate | None = None
    bytes_per_s: Rate | None = None
    tokens_per_s: Rate | None = None
    burst_s: Annotated[float, Meta(ge=1)] = 2.0


UNLIMITED: Final = Limits()


class Admission(Struct, frozen=True, gc=False):
    """Whether events may come in, and what the answer says about it."""

    admitted: bool
    retry_after_s: int
    """Whole seconds until the same events would be admitted; 0 if they were. For the header `Retry-After`."""
    violated: tuple[str, ...]
    """Names of the policies that forbid it, for `violated-policies` of the problem details."""
    policy_header: str
    """For `RateLimit-Policy`; empty without limits."""
    limit_header: str
    """For `RateLimit`; empty without limits."""


NO_LIMITS: Final = Admission(admitted=True, retry_after_s=0, violated=(), policy_header="", limit_header="")


class RateState:
    """The buckets of one tenant. Time is an argument, in seconds of a clock that never goes back."""

    __slots__ = ("_buckets", "_policy_header")

    def __init__(self, limits: Limits, now_s: float) -> None:
        """Begin with full buckets."""
        named = (
            ("events", limits.events_per_s, ""),
            ("bytes", limits.bytes_per_s, ';qu="content-bytes"'),
            ("tokens", limits.tokens_per_s, ';qu="tokens"'),
        )
        self._buckets = tuple(
            _Bucket(number, name, rate, rate * limits.burst_s, now_s)
            for number, (name, rate, _) in enumerate(named)
            if rate is not None
        )
        window_s = max(_WINDOW_S, round(limits.burst_s))
        self._policy_header = ", ".join(
            f'"{name}";q={max(1, int(rate * limits.burst_s))};w={window_s}{unit}'
            for name, rate, unit in named
            if rate is not None
        )

    def admit(self, now_s: float, *, events: int, bytes_: int, tokens: int = 0) -> Admission:
        """Take the costs from every bucket, or from none.

        More than a full bucket holds is admitted when the bucket is full, and what follows waits for it.
        """
        if not self._buckets:
            return NO_LIMITS
        costs = (events, bytes_, tokens)
        violated: list[str] = []
        wait_s = 0.0
        for bucket in self._buckets:
            bucket.refill(now_s)
            missing = min(costs[bucket.number], bucket.capacity) - bucket.level
            if costs[bucket.number] and missing > bucket.capacity * 1e-9:
                violated.append(bucket.name)
                wait_s = max(wait_s, missing / bucket.rate)
        if not violated:
            for bucket in self._buckets:
                bucket.level -= costs[bucket.number]
        return Admission(
            admitted=not violated,
            retry_after_s=ceil(wait_s),
            violated=tuple(violated),
            policy_header=self._policy_header,
            limit_header=", ".join(bucket.header() for bucket in self._buckets),
        )


class _Bucket:
    __slots__ = ("_at_s", "capacity", "level", "name", "number", "rate")

    def __init__(self, number: int, name: str, rate: float, capacity: float, now_s: float) -> None:
        self.number = number
        self.name = name
        self.rate = rate
        self.capacity = capacity
        self.level = capacity
        self._at_s = now_s

    def refill(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._at_s)
        self._at_s += passed_s
        self.level = min(self.capacity, self.level + passed_s * self.rate)

    def header(self) -> str:
        """Say how much is left, and in how many seconds the bucket will be full."""
        full_in_s = ceil((self.capacity - self.level) / self.rate)
        return f'"{self.name}";r={max(0, int(self.level))};t={full_in_s}'
