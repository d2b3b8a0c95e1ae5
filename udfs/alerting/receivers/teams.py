"""`msteams_configs` and `msteamsv2_configs`: Microsoft Teams by connector card and by workflow."""

from msgspec import Struct

from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret, at_most_one, chosen
from udfs.alerting.receivers.text import check_url, default


def check_webhook(url: Secret | None, file: str) -> None:
    """Raise ValueError unless exactly one of `webhook_url` and `webhook_url_file` is configured, and is a URL."""
    at_most_one(webhook_url=url, webhook_url_file=file)
    if url is None and not file:
        raise ValueError("one of webhook_url and webhook_url_file must be configured")
    if url is not None and url.origin == "text":
        check_url("webhook_url", url.reveal_text())


class MsteamsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message card to a connector, which Microsoft retires."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: str = ""
    title: str = default("msteams.default.title")
    summary: str = default("msteams.default.summary")
    text: str | None = None
    """None is a message of our own for alerts of our own, and upstream's default for all others."""

    def __post_init__(self) -> None:
        check_webhook(self.webhook_url, self.webhook_url_file)

    @property
    def target(self) -> Secret | None:
        """Where to post."""
        return chosen(self.webhook_url, self.webhook_url_file)


class Msteamsv2Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An adaptive card to a workflow."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: str = ""
    title: str = default("msteamsv2.default.title")
    text: str | None = None
    """As of the connector."""

    def __post_init__(self) -> None:
        check_webhook(self.webhook_url, self.webhook_url_file)

    @property
    def target(self) -> Secret | None:
        """Where to post."""
        return chosen(self.webhook_url, self.webhook_url_file)
