"""What a message is made with: templates, the data of a notification, the credentials, the time."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from udfs.alerting.notification import Notification
from udfs.alerting.receivers.secret import Secret
from udfs.templates.template_set import TemplateSet
from udfs.templates.values import KV, Data, data_of


class HttpRequest(Struct, frozen=True, kw_only=True):
    """One request; URL and headers may be credentials and show themselves in no message."""

    url: Secret
    body: bytes
    method: str = "POST"
    headers: tuple[tuple[str, Secret], ...] = ()
    content_type: str = "application/json"


class MessageError(ValueError):
    """A message that cannot be made: a template fails, a credential is missing. The reason holds no secret."""


class MessageContext:
    """One notification at one time."""

    def __init__(
        self,
        notification: Notification,
        templates: TemplateSet,
        reveal: Callable[[Secret], str],
        now_ms: int,
        previous: str = "",
    ) -> None:
        """Take what a message needs; `previous` is the reference of the last one about the same group."""
        self.notification = notification
        self.now_ms = now_ms
        self.previous = previous
        self._templates = templates
        self._reveal = reveal

    @cached_property
    def data(self) -> Data:
        """What templates see."""
        return data_of(self.notification)

    def text(self, template: str) -> str:
        """Return what a template says of the notification; raises TemplateError."""
        # Most texts are plain: neither they nor the data, which only templates see, have to be prepared.
        return self._templates.text(template, self.data, self.now_ms) if "{{" in template else template

    def html(self, template: str) -> str:
        """Return the same, escaped for HTML."""
        return self._templates.html(template, self.data, self.now_ms)

    def reveal(self, secret: Secret | None, name: str) -> str:
        """Return a credential as it is now, templates in it rendered; raises MessageError if there is none."""
        if secret is None:
            raise MessageError(f"{name} is not configured")
        revealed = self.text(self._reveal(secret)).strip()
        if not revealed:
            raise MessageError(f"{name} is empty")
        return revealed

    def url(self, secret: Secret | None, name: str) -> Secret:
        """Return the address to send to."""
        return Secret(self.reveal(secret, name))

    def for_json(self, most_alerts: int) -> tuple[Data, int]:
        """Return the data with so many alerts at most (0 is all), for JSON alone, and how many are left out."""
        # Copying every label set for methods that only templates call would take half of the time of a large notice.
        data = data_of(self.notification, lambda labels: cast("KV", labels))
        alerts = data.Alerts
        if not most_alerts or len(alerts) <= most_alerts:
            return data, 0
        return replace(data, Alerts=type(alerts)(alerts[:most_alerts])), len(alerts) - most_alerts

    def rendered(self, value: Any) -> Any:
        """Return a structure with every text in it rendered."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.rendered(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.rendered(each) for each in value]
        return value

    @property
    def is_firing(self) -> bool:
        """Whether at least one alert fires."""
        return self.notification.firing

    @property
    def group_hash(self) -> str:
        """What receivers know the group by: SHA-256 of its key, as upstream has it."""
        return hashlib.sha256(self.notification.group_key.encode()).hexdigest()


def shortened(text: str, most: int) -> str:
    """Return a text of so many characters at most, the last of them … if something is left out."""
    return text if len(text) <= most else text[: most - 1] + "…"


def shortened_bytes(text: str, most: int) -> str:
    """Return a text of so many bytes at most, whole characters only."""
    data = text.encode()
    return text if len(data) <= most else data[: most - 3].decode(errors="ignore") + "…"
