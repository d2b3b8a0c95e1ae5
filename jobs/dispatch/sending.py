"""Sending: from the channels of a configuration to one try of one notification, and when the next one is due."""

import logging
import random
import time
from typing import Final

from jobs.dispatch.channels.channels import Channels
from jobs.dispatch.channels.guard import networks_of
from jobs.dispatch.channels.template_files import template_mistakes, template_set
from jobs.dispatch.configuration import Configuration
from jobs.dispatch.deliveries import Answer
from jobs.dispatch.options import Options
from udfs.alerting.memory import Earlier
from udfs.alerting.notification import Notification
from udfs.alerting.outcome import Retry, Sent
from udfs.alerting.retrying import TryAgain, after_failure

LOG = logging.getLogger("dispatch.sending")
_TRY_S: Final = 20.0
"""Longest time for one try; Standard Webhooks recommends 15 to 30 s."""


class Sending:
    """The channels of one configuration."""

    def __init__(self, configuration: Configuration, options: Options, former: "Sending | None" = None) -> None:
        """Open the channels, going on where the `former` ones are; raises SentinelError for a wrong template file.

        A text of a channel that cannot be told is warned of now, not when the first alert comes.
        """
        templates = template_set(configuration)
        for mistake in template_mistakes(configuration, templates):
            LOG.warning("%s: nothing can be told this way", mistake)
        self.channels: Channels = Channels(
            configuration.receivers.values(),
            templates,
            options.configuration.parent,
            networks_of(options.allowed_networks),
            former=None if former is None else former.channels,
        )

    async def send(self, notification: Notification, tries: int, earlier: Earlier) -> Answer:
        """Make the try of that number, from 1, knowing what earlier ones have left."""
        now_ms = int(time.time() * 1_000)
        outcome = await self.channels.send(notification, now_ms, _TRY_S, earlier)
        if isinstance(outcome, Sent):
            return Answer(taken=True, detail=outcome.detail, reference=outcome.reference)
        now_ms = int(time.time() * 1_000)
        following = after_failure(outcome, tries, notification.created_at_ms, now_ms, random.random())
        detail = (
            f"{outcome.reason.value}: {following.detail if not isinstance(following, TryAgain) else outcome.detail}"
        )
        retry_in_ms = following.at_ms - now_ms if isinstance(following, TryAgain) else None
        reached = outcome.reached if isinstance(outcome, Retry) else frozenset()
        return Answer(taken=False, detail=detail, retry_in_ms=retry_in_ms, reached=reached)

    async def close(self) -> None:
        """Close its connections."""
        await self.channels.close()
