"""Outcome: what became of a request, in words that every transport translates into its own.

A request is either taken, with some of its items rejected perhaps, or refused as a whole.
"""

from enum import Enum, auto
from typing import Final

from msgspec import Struct

from udfs.normalise.normalised import Rejection

RETRY_AFTER_S: Final = 1.0


class Quota(Struct, frozen=True, kw_only=True):
    """What is said of the tenant's limits with every answer (draft-ietf-httpapi-ratelimit-headers)."""

    policy: str
    """For `RateLimit-Policy`."""
    left: str
    """For `RateLimit`."""


class Taken(Struct, frozen=True, kw_only=True):
    """A request whose good items are as safe as was asked for."""

    accepted: int
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()
    batch_id: str = ""
    """The same for the same events of the same tenant."""
    quota: Quota | None = None


class Refusal(Enum):
    """Why a request was refused as a whole."""

    UNDECODABLE = auto()
    UNAUTHENTICATED = auto()
    FORBIDDEN = auto()
    TOO_LARGE = auto()
    UNSUPPORTED_TYPE = auto()
    UNSUPPORTED_ENCODING = auto()
    OVER_QUOTA = auto()
    OVERLOADED = auto()
    NOT_FOUND = auto()
    WRONG_METHOD = auto()
    TOO_SLOW = auto()
    FAULT = auto()
    """A fault of ours; it is logged, and counts as retryable, since nothing is known of what it did."""


class RefusedError(Exception):
    """A request that was refused as a whole; nothing of it was taken."""

    def __init__(
        self,
        refusal: Refusal,
        detail: str,
        *,
        retry_after_s: float | None = None,
        rejected: tuple[Rejection, ...] = (),
        policies: tuple[str, ...] = (),
        quota: Quota | None = None,
        allowed: str = "",
    ) -> None:
        """Take the kind, one sentence for the sender, and what some kinds add.

        Args:
            refusal: the kind.
            detail: one sentence without any content of the request.
            retry_after_s: when to try again; None: never as it is.
            rejected: the items at fault, where they are known.
            policies: names of the quotas that were exceeded.
            quota: what is left of the tenant's limits.
            allowed: the methods, media types or encodings that would have been accepted.
        """
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.rejected = rejected
        self.policies = policies
        self.quota = quota
        self.allowed = allowed
