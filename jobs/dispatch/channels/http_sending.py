"""One try over HTTP, and what came of it: the one table of statuses, and what some services say in a 200."""

import json
import re
import ssl
from typing import Final

import aiohttp

from jobs.dispatch.channels.credentials import CredentialError, Revealing
from jobs.dispatch.channels.guard import InternalAddressError, UnknownNameError
from jobs.dispatch.channels.http_client import HttpAnswer, HttpClient
from udfs.alerting.messages.context import HttpRequest, shortened
from udfs.alerting.messages.slack import error_of
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Retry, Sent, outcome_of_status
from udfs.alerting.receivers.chat import RocketchatConfig, TelegramConfig
from udfs.alerting.receivers.pagerduty import PagerdutyConfig
from udfs.alerting.receivers.receiver import ChannelConfig
from udfs.alerting.receivers.slack import SlackConfig
from udfs.alerting.receivers.teams import MsteamsConfig

_DETAIL_MOST: Final = 200
_UNUSABLE: Final = Refused(reason=FailureReason.CLIENT_ERROR, detail="the URL cannot be used")
_FORBIDDEN: Final = 403
_SLACK_AUTH: Final = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission",
     "missing_scope", "not_allowed_token_type"}
)  # fmt: skip
_SLACK_RETRIED: Final = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
SLACK_LOST: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
"""Errors of Slack that say that the message to change is no more."""
_TEAMS_ERROR: Final = re.compile(r"HTTP error (\d{3})")


async def exchanged(  # noqa: PLR0911 - one return per kind of failure
    client: HttpClient, request: HttpRequest, revealing: Revealing, timeout_s: float, now_ms: int, config: ChannelConfig
) -> tuple[Outcome, HttpAnswer | None]:
    """Return what came of one request, with the answer if there was one; never raises for what a receiver does."""
    revealing.remember(request.url.reveal_text())
    for _, value in request.headers:
        revealing.remember(value.reveal_text())
    try:
        answer = await client.request(request, revealing, timeout_s)
    except InternalAddressError as error:
        return Refused(reason=FailureReason.CLIENT_ERROR, detail=str(error)), None
    except UnknownNameError as error:
        return Retry(reason=FailureReason.OTHER, detail=str(error)), None
    except CredentialError as error:
        return Retry(reason=FailureReason.OTHER, detail=str(error)), None
    except TimeoutError:
        return _timed_out(timeout_s), None
    except aiohttp.InvalidURL:
        return _UNUSABLE, None
    except (aiohttp.ClientError, OSError) as error:
        return Retry(reason=FailureReason.OTHER, detail=_network_problem(error)), None
    except ValueError:
        return _UNUSABLE, None
    return outcome_of(answer, config, revealing, now_ms), answer


def outcome_of(answer: HttpAnswer, config: ChannelConfig, revealing: Revealing, now_ms: int) -> Outcome:
    """Return what an answer means."""
    said = shortened(revealing.scrubbed(answer.body.decode(errors="replace")), _DETAIL_MOST)
    retry_after = answer.headers.get("retry-after", "")
    if isinstance(config, TelegramConfig) and not retry_after:
        retry_after = _telegram_pause(answer.body)
    outcome = outcome_of_status(answer.status, retry_after, now_ms, said)
    if isinstance(config, PagerdutyConfig) and config.routing is None and answer.status == _FORBIDDEN:
        return Retry(reason=FailureReason.RATE_LIMITED, detail=f"status {_FORBIDDEN}: {said}")
    if not isinstance(outcome, Sent):
        return outcome
    if isinstance(config, SlackConfig):
        return _slack(error_of(answer.body, answer.headers.get("content-type", "")), outcome)
    if isinstance(config, RocketchatConfig) and b'"success":false' in answer.body.replace(b" ", b""):
        return Refused(reason=FailureReason.CLIENT_ERROR, detail=said)
    if isinstance(config, MsteamsConfig) and (found := _TEAMS_ERROR.search(said)):
        return outcome_of_status(int(found[1]), retry_after, now_ms, said)
    return outcome


def _slack(error: str, outcome: Outcome) -> Outcome:
    if not error:
        return outcome
    detail = f"Slack says {error}"
    if error == "ratelimited":
        return Retry(reason=FailureReason.RATE_LIMITED, detail=detail)
    if error in _SLACK_RETRIED:
        return Retry(reason=FailureReason.SERVER_ERROR, detail=detail)
    reason = FailureReason.AUTH_ERROR if error in _SLACK_AUTH else FailureReason.CLIENT_ERROR
    return Refused(reason=reason, detail=detail)


def _telegram_pause(body: bytes) -> str:
    try:
        return str(json.loads(body)["parameters"]["retry_after"])
    except (ValueError, KeyError, TypeError):
        return ""


def _timed_out(timeout_s: float) -> Outcome:
    return Retry(reason=FailureReason.CONTEXT_DEADLINE_EXCEEDED, detail=f"no answer within {timeout_s:g} s")


def _network_problem(error: BaseException) -> str:
    """Return what is wrong without the address, which may hold a secret."""
    # aiohttp's own errors of TLS claim to be those of the module ssl, without what those say.
    cause: BaseException | None = (error.__cause__ or error) if isinstance(error, aiohttp.ClientSSLError) else error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'handshake'}"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        cause = cause.__cause__ or cause.__context__
    return f"the connection failed ({type(error).__name__})"
