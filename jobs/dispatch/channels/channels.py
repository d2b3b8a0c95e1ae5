"""Channels: all ways to all receivers of one configuration, each with its pace, its breaker and its connections."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from jobs.dispatch.channels.credentials import CredentialError, Revealing
from jobs.dispatch.channels.guard import Network
from jobs.dispatch.channels.http_client import HttpClient
from jobs.dispatch.channels.http_sending import SLACK_LOST, exchanged
from jobs.dispatch.channels.local_sending import commanded, logged
from jobs.dispatch.channels.smtp_sending import mailed
from udfs.alerting.breaker import Breaker, begun, ended
from udfs.alerting.memory import NOTHING, Earlier
from udfs.alerting.messages.context import MessageContext, MessageError
from udfs.alerting.messages.conversation import Token
from udfs.alerting.messages.mail import mail_of
from udfs.alerting.messages.requests import conversation_of
from udfs.alerting.messages.slack import reference_of
from udfs.alerting.notification import Notification
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Retry, Sent
from udfs.alerting.receivers.email import EmailConfig
from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.local import CommandConfig, LogConfig
from udfs.alerting.receivers.receiver import Channel, ChannelConfig, Receiver
from udfs.alerting.receivers.slack import SlackConfig
from udfs.alerting.receivers.sns import SnsConfig
from udfs.alerting.token_bucket import PACE_BY_KIND, TokenBucket, taken
from udfs.templates.problem import TemplateError
from udfs.templates.template_set import TemplateSet

if TYPE_CHECKING:
    from jobs.dispatch.channels.aws_signing import AwsSigner

_UNKNOWN: Final = Refused(reason=FailureReason.CLIENT_ERROR, detail="the configuration has no such channel any more")
_GONE: Final = Refused(
    reason=FailureReason.CLIENT_ERROR,
    detail="the receiver answered 410 before: the channel is off until the configuration is read again",
    disables=True,
)


class Channels:
    """Sends notifications; made anew with every configuration."""

    def __init__(
        self,
        receivers: Iterable[Receiver],
        templates: TemplateSet,
        folder: Path,
        allowed: Sequence[Network] = (),
        former: "Channels | None" = None,
    ) -> None:
        """Take the receivers; `folder` is the configuration's, `allowed` are internal networks that may be reached.

        A channel that is the same in the `former` configuration goes on with its pace and its breaker.
        """
        self._templates = templates
        self._ways = {
            (receiver.name, channel.key): _Way(channel, folder, allowed)
            for receiver in receivers
            for channel in receiver.channels
        }
        if former is not None:
            for place, way in self._ways.items():
                way.go_on_from(former._ways.get(place))  # noqa: SLF001 - of the same class

    async def send(
        self, notification: Notification, now_ms: int, deadline_s: float, earlier: Earlier = NOTHING
    ) -> Outcome:
        """Make one try that lasts `deadline_s` at most; never raises for what a receiver or its configuration does.

        Channels remember no message: `earlier` is what the tries and notices before this one have left.
        """
        way = self._ways.get((notification.receiver, notification.channel))
        if way is None:
            return _UNKNOWN
        return await way.send(notification, self._templates, now_ms, deadline_s, earlier)

    async def close(self) -> None:
        """Close all connections."""
        for way in self._ways.values():
            if way.client is not None:
                await way.client.close()


class _State(Struct):
    breaker: Breaker = Breaker()
    bucket: TokenBucket = TokenBucket()
    is_off: bool = False


class _Way:
    """One channel of one receiver."""

    def __init__(self, channel: Channel, folder: Path, allowed: Sequence[Network]) -> None:
        self.channel = channel
        self.client: HttpClient | None = None
        if not isinstance(channel.config, EmailConfig | LogConfig | CommandConfig):
            self.client = HttpClient(channel.config.http_config or HttpConfig(), folder, allowed)
        self._signer = _signer_of(channel.config, folder)
        self._token = Token()
        self._folder = folder
        self.state = _State()

    def go_on_from(self, former: "_Way | None") -> None:
        if former is not None and former.channel == self.channel:
            self.state = _State(breaker=former.state.breaker, bucket=former.state.bucket)

    async def send(
        self, notification: Notification, templates: TemplateSet, now_ms: int, deadline_s: float, earlier: Earlier
    ) -> Outcome:
        if self.state.is_off:
            return _GONE
        if self.state.breaker.is_open(now_ms):
            pause_ms = max(1_000, self.state.breaker.open_until_ms - now_ms)
            detail = "not tried: this channel failed several times in a row and is left alone for a while"
            return Retry(reason=FailureReason.SERVER_ERROR, detail=detail, retry_after_ms=pause_ms)
        wait_ms = self._pace(now_ms, deadline_s)
        if wait_ms < 0:
            detail = "not tried: more messages wait than this channel takes in time"
            return Retry(reason=FailureReason.RATE_LIMITED, detail=detail, retry_after_ms=-wait_ms)
        if wait_ms:
            await asyncio.sleep(wait_ms / 1_000)
        return await self._tried(notification, templates, now_ms + wait_ms, deadline_s - wait_ms / 1_000, earlier)

    def _pace(self, now_ms: int, deadline_s: float) -> int:
        """Return how long to wait for one's turn; negative if that is too long."""
        pace = PACE_BY_KIND.get(self.channel.kind)
        if pace is None:
            return 0
        bucket, wait_ms = taken(self.state.bucket, pace, now_ms)
        if wait_ms > deadline_s * 500:
            return -wait_ms
        self.state.bucket = bucket
        return wait_ms

    async def _tried(
        self, notification: Notification, templates: TemplateSet, now_ms: int, deadline_s: float, earlier: Earlier
    ) -> Outcome:
        revealing = Revealing(self._folder)
        context = MessageContext(notification, templates, revealing, now_ms, earlier.reference)
        limit_s = getattr(self.channel.config, "timeout", 0) / 1_000
        timeout_s = min(deadline_s, limit_s) if limit_s else deadline_s
        self.state.breaker = begun(self.state.breaker, now_ms)
        outcome: Outcome = Retry(reason=FailureReason.CONTEXT_CANCELED, detail="dispatch stopped meanwhile")
        try:
            async with asyncio.timeout(timeout_s):
                outcome = await self._sent(context, revealing, timeout_s, earlier.reached)
        except TimeoutError:
            detail = f"no answer within {timeout_s:g} s"
            outcome = Retry(reason=FailureReason.CONTEXT_DEADLINE_EXCEEDED, detail=detail)
        except TemplateError as error:
            outcome = Refused(reason=FailureReason.CLIENT_ERROR, detail=revealing.scrubbed(str(error)))
        except CredentialError as error:
            outcome = Retry(reason=FailureReason.OTHER, detail=str(error))
        except MessageError as error:
            outcome = Refused(reason=FailureReason.CLIENT_ERROR, detail=revealing.scrubbed(str(error)))
        finally:
            self.state.breaker = ended(self.state.breaker, outcome, now_ms)
        if isinstance(outcome, Refused) and outcome.disables:
            self.state.is_off = True
        return outcome

    async def _sent(
        self, context: MessageContext, revealing: Revealing, timeout_s: float, already: frozenset[str]
    ) -> Outcome:
        config = self.channel.config
        if isinstance(config, LogConfig):
            return logged(config, context)
        if isinstance(config, CommandConfig):
            return await commanded(config, context, timeout_s)
        if isinstance(config, EmailConfig):
            mail = mail_of(config, context)
            outcome, reached = await mailed(config, mail, already, self._folder, revealing, timeout_s)
            return replace(outcome, reached=reached) if isinstance(outcome, Retry) else outcome
        if self.client is None:
            return _UNKNOWN
        outcome, answer = await self._talked(self.client, context, revealing, timeout_s)
        if isinstance(config, SlackConfig):
            if context.previous and _is_lost(outcome):
                # The message to change is no more: say it anew.
                context.previous = ""
                outcome, answer = await self._talked(self.client, context, revealing, timeout_s)
            if isinstance(outcome, Sent):
                outcome = replace(outcome, reference=reference_of(config, context, answer))
        return outcome

    async def _talked(
        self, client: HttpClient, context: MessageContext, revealing: Revealing, timeout_s: float
    ) -> tuple[Outcome, bytes]:
        """Return what came of the requests that tell a notification, and the last answer of 2xx."""
        config = self.channel.config
        outcome: Outcome = Sent()
        body = b""
        conversation = conversation_of(config, context, self._token)
        try:
            request = next(conversation)
            while True:
                if self._signer is not None:
                    request = await self._signer.signed(request)
                outcome, answer = await exchanged(client, request, revealing, timeout_s, context.now_ms, config)
                if answer is None or not isinstance(outcome, Sent):
                    return outcome, body
                body = answer.body
                request = conversation.send(body)
        except StopIteration as end:
            return end.value or outcome, body


def _signer_of(config: ChannelConfig, folder: Path) -> "AwsSigner | None":
    if not isinstance(config, SnsConfig):
        return None
    # Amazon's library takes a quarter of a second to import, and most have no such channel.
    from jobs.dispatch.channels.aws_signing import AwsSigner  # noqa: PLC0415

    return AwsSigner(config, folder)


def _is_lost(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and any(outcome.detail.endswith(error) for error in SLACK_LOST)
