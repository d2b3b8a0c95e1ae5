"""Outcome of one try to send a notification, and the one table of what an HTTP status means for every channel."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

LONGEST_RETRY_AFTER_MS: Final = 86_400_000
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]+)?")


class FailureReason(StrEnum):
    """Why a try failed: Alertmanager's reasons, as label values of a metric."""

    OTHER = "other"
    CLIENT_ERROR = "client_error"
    """The receiver understood and refused: the message or the configuration is wrong."""
    SERVER_ERROR = "server_error"
    CONTEXT_CANCELED = "context_canceled"
    """Dispatch stopped meanwhile."""
    CONTEXT_DEADLINE_EXCEEDED = "context_deadline_exceeded"
    """No answer within the time for one try."""
    AUTH_ERROR = "auth_error"
    RATE_LIMITED = "rate_limited"


class Sent(Struct, frozen=True, kw_only=True):
    """The receiver took it."""

    reference: str = ""
    """What the receiver calls it, for the next notification about the same group."""
    detail: str = ""


class Retry(Struct, frozen=True, kw_only=True):
    """It failed, and another try may succeed."""

    reason: FailureReason
    detail: str
    """One sentence without secrets."""
    retry_after_ms: int | None = None
    """What the receiver asked for."""
    reached: frozenset[str] = frozenset()
    """Recipients who have it now; another try is for the others."""


class Refused(Struct, frozen=True, kw_only=True):
    """It failed for good: another try would fail the same way."""

    reason: FailureReason
    detail: str
    disables: bool = False
    """Whether the receiver wants nothing any more (410): the channel stays silent until the configuration changes."""


Outcome = Sent | Retry | Refused

RETRIED_STATUSES: Final = frozenset({408, 425, 429, *range(500, 600)})
"""Statuses after which another try is worth while, for every channel."""
_GONE, _REQUEST_TIMEOUT, _TOO_MANY = 410, 408, 429


def reason_of_status(status: int) -> FailureReason:
    """Return the reason that a status other than 2xx stands for."""
    if status in (401, 403):
        return FailureReason.AUTH_ERROR
    if status == _TOO_MANY:
        return FailureReason.RATE_LIMITED
    if status == _REQUEST_TIMEOUT:
        return FailureReason.CONTEXT_DEADLINE_EXCEEDED
    if 400 <= status < 500:  # noqa: PLR2004 the classes of HTTP
        return FailureReason.CLIENT_ERROR
    return FailureReason.SERVER_ERROR if 500 <= status < 600 else FailureReason.OTHER  # noqa: PLR2004 as above


def outcome_of_status(status: int, retry_after: str, now_ms: int, detail: str = "") -> Outcome:
    """Return what a status and the header `Retry-After` mean; a redirect is refused, since none is followed."""
    if 200 <= status < 300:  # noqa: PLR2004 the classes of HTTP
        return Sent(detail=f"status {status}")
    if 300 <= status < 400:  # noqa: PLR2004 as above
        return Refused(
            reason=FailureReason.OTHER, detail=f"status {status}: redirects are not followed, configure the final URL"
        )
    said = f"status {status}: {detail}" if detail else f"status {status}"
    if status in RETRIED_STATUSES:
        return Retry(reason=reason_of_status(status), detail=said, retry_after_ms=retry_after_ms(retry_after, now_ms))
    return Refused(reason=reason_of_status(status), detail=said, disables=status == _GONE)


def retry_after_ms(header: str, now_ms: int) -> int | None:
    """Return the milliseconds that `Retry-After` asks for, as seconds or as a date; None if it is neither.

    At most a day: a receiver that asks for more would silence itself for good by mistake.
    """
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return min(int(float(text) * 1_000), LONGEST_RETRY_AFTER_MS)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    at_ms = int(date.replace(tzinfo=date.tzinfo or UTC).timestamp() * 1_000)
    return min(max(0, at_ms - now_ms), LONGEST_RETRY_AFTER_MS)
