"""Conversation: the requests of one notification where what follows depends on what was answered."""

from collections.abc import Generator

from msgspec import Struct

from udfs.alerting.messages.context import HttpRequest
from udfs.alerting.outcome import Outcome

Conversation = Generator[HttpRequest, bytes, Outcome | None]
"""Yields requests and is sent the body of each answer of 2xx; any other answer ends it.

What it returns came of the notification; None is what came of the last request.
"""


class Token(Struct):
    """What a service gave a channel to show with every request, and until when it may be shown."""

    text: str = ""
    until_ms: int = 0

    def is_good(self, now_ms: int) -> bool:
        """Return whether it may be shown."""
        return bool(self.text) and now_ms < self.until_ms
