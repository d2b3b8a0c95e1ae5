"""`webhook_configs`: notifications as JSON to any HTTP endpoint, signed if a secret is configured."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from udfs.alerting.receivers.duration import DurationMs
from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret, at_most_one, chosen
from udfs.alerting.receivers.text import check_url

Count = Annotated[int, Meta(ge=0)]


class WebhookConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One POST per notification."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    url: Secret | None = None
    """May be a template."""
    url_file: str = ""
    max_alerts: Count = 0
    """More alerts than that are left out and counted; 0 is no limit."""
    timeout: DurationMs = DurationMs(0)
    payload: Any = None
    """Of 0.31 and later: the body, every text in it a template."""
    body: Literal["alertmanager", "sentinel"] = "alertmanager"
    """Of our own: Alertmanager's JSON of version 4, or `type`, `timestamp` and `data` of Standard Webhooks."""
    signing_secrets: tuple[Secret, ...] = ()
    """Of our own: `whsec_...` (HMAC) or `whsk_...` (ed25519); each signs, so that a receiver may change over."""

    def __post_init__(self) -> None:
        at_most_one(url=self.url, url_file=self.url_file)
        if self.target is None:
            raise ValueError("one of url and url_file must be configured")
        at_most_one(payload=self.payload is not None, body=self.body != "alertmanager")
        if self.url is not None and self.url.origin == "text":
            check_url("url", self.url.reveal_text())

    @property
    def target(self) -> Secret | None:
        """Where to post."""
        return chosen(self.url, self.url_file)
