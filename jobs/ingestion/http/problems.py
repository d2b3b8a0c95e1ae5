"""Problems: refusals and partial successes of the JSON interface (RFC 9457, Problem Details for HTTP APIs).

The problem types of quotas are those of draft-ietf-httpapi-ratelimit-headers.
"""

from math import ceil
from typing import Any, Final

import msgspec

from jobs.ingestion.http.exchange import Response
from jobs.ingestion.outcome import Quota, Refusal, RefusedError, Taken
from udfs.normalise.normalised import Rejection

STATUS: Final = {
    Refusal.UNDECODABLE: 400,
    Refusal.UNAUTHENTICATED: 401,
    Refusal.FORBIDDEN: 403,
    Refusal.NOT_FOUND: 404,
    Refusal.WRONG_METHOD: 405,
    Refusal.TOO_SLOW: 408,
    Refusal.TOO_LARGE: 413,
    Refusal.UNSUPPORTED_TYPE: 415,
    Refusal.UNSUPPORTED_ENCODING: 415,
    Refusal.OVER_QUOTA: 429,
    Refusal.FAULT: 500,
    Refusal.OVERLOADED: 503,
}
_TITLES: Final = {
    Refusal.UNDECODABLE: "The telemetry cannot be read",
    Refusal.UNAUTHENTICATED: "Who sends is not known",
    Refusal.FORBIDDEN: "The sender may not do this",
    Refusal.NOT_FOUND: "There is nothing at this address",
    Refusal.WRONG_METHOD: "This address has no such method",
    Refusal.TOO_SLOW: "The request took too long",
    Refusal.TOO_LARGE: "The request is too large",
    Refusal.UNSUPPORTED_TYPE: "The media type is not supported",
    Refusal.UNSUPPORTED_ENCODING: "The content encoding is not supported",
    Refusal.OVER_QUOTA: "A quota is exceeded",
    Refusal.FAULT: "The server is at fault",
    Refusal.OVERLOADED: "The server can take less than usual",
}
_REGISTRY: Final = "https://iana.org/assignments/http-problem-types#"
_TYPES: Final = {
    Refusal.OVER_QUOTA: f"{_REGISTRY}quota-exceeded",
    Refusal.OVERLOADED: f"{_REGISTRY}temporary-reduced-capacity",
}
_CHALLENGE: Final = 'Bearer realm="llm-sentinel"'


def taken(outcome: Taken) -> Response:
    """Return the answer to a request that was taken: 202, or 207 when some of its items were not."""
    document: dict[str, Any] = {"accepted": outcome.accepted, "batch_id": outcome.batch_id}
    if outcome.rejected:
        document["rejected"] = [_item(each) for each in outcome.rejected]
    if outcome.warnings:
        document["warnings"] = outcome.warnings
    return Response(
        status=207 if outcome.rejected else 202,
        body=msgspec.json.encode(document),
        headers=quota_headers(outcome.quota),
    )


def problem(refused: RefusedError) -> Response:
    """Return the answer to a request that was refused as a whole."""
    kind = refused.refusal
    status = STATUS[kind]
    document: dict[str, Any] = {
        "type": _TYPES.get(kind, "about:blank"),
        "title": _TITLES[kind],
        "status": status,
        "detail": refused.detail,
    }
    if refused.rejected:
        document["errors"] = [_item(each) for each in refused.rejected]
    if refused.policies:
        document["violated-policies"] = refused.policies
    return Response(
        status=status,
        body=msgspec.json.encode(document),
        media_type="application/problem+json",
        headers=refusal_headers(refused),
    )


def refusal_headers(refused: RefusedError) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that a refusal has besides its body, the same for OTLP and JSON."""
    headers = list(quota_headers(refused.quota))
    if refused.retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, ceil(refused.retry_after_s))).encode()))
    if refused.refusal is Refusal.UNAUTHENTICATED:
        headers.append((b"www-authenticate", _CHALLENGE.encode()))
    named = {
        Refusal.WRONG_METHOD: b"allow",
        Refusal.UNSUPPORTED_TYPE: b"accept",
        Refusal.UNSUPPORTED_ENCODING: b"accept-encoding",
    }.get(refused.refusal)
    if named is not None:
        headers.append((named, refused.allowed.encode()))
    return tuple(headers)


def quota_headers(quota: Quota | None) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that say what is left of the tenant's limits; none without limits."""
    if quota is None:
        return ()
    return ((b"ratelimit-policy", quota.policy.encode()), (b"ratelimit", quota.left.encode()))


def _item(rejection: Rejection) -> dict[str, Any]:
    return {
        "index": rejection.index,
        "pointer": rejection.pointer,
        "code": rejection.reason,
        "detail": rejection.detail,
    }
