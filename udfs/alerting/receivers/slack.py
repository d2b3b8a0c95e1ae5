"""`slack_configs`: messages to Slack, by incoming webhook or by bot token."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from udfs.alerting.receivers.duration import DurationMs
from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret, at_most_one, chosen
from udfs.alerting.receivers.text import check_url, default

POST_MESSAGE_URL: Final = "https://slack.com/api/chat.postMessage"
ATTACHMENT_DEFAULTS: Final = {
    "color": default("slack.default.color"),
    "title": default("slack.default.title"),
    "title_link": default("slack.default.titlelink"),
    "pretext": default("slack.default.pretext"),
    "text": default("slack.default.text"),
    "fallback": default("slack.default.fallback"),
    "callback_id": default("slack.default.callbackid"),
    "footer": default("slack.default.footer"),
}
"""What an attachment says where it is not configured, once any part of it is."""

Filled = Annotated[str, Meta(min_length=1)]


class SlackConfirmation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question before a button acts."""

    text: Filled
    title: str = ""
    ok_text: str = ""
    dismiss_text: str = ""


class SlackAction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A button of an attachment."""

    type: Filled
    text: Filled
    url: str = ""
    style: str = ""
    name: str = ""
    value: str = ""
    confirm: SlackConfirmation | None = None

    def __post_init__(self) -> None:
        if not self.url and not self.name:
            raise ValueError("an action needs name or url")


class SlackField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field of an attachment."""

    title: Filled
    value: Filled
    short: bool | None = None


class SlackConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message as upstream's attachment if any part of one is configured, and as Block Kit otherwise."""

    send_resolved: bool = False
    http_config: HttpConfig | None = None
    api_url: Secret | None = None
    api_url_file: str = ""
    app_token: Secret | None = None
    app_token_file: str = ""
    app_url: str = ""
    channel: str = ""
    username: str = default("slack.default.username")
    color: str | None = None
    title: str | None = None
    title_link: str | None = None
    pretext: str | None = None
    text: str | None = None
    message_text: str = ""
    fields: tuple[SlackField, ...] = ()
    short_fields: bool = False
    footer: str | None = None
    fallback: str | None = None
    callback_id: str | None = None
    icon_emoji: str = default("slack.default.iconemoji")
    icon_url: str = default("slack.default.iconurl")
    image_url: str = ""
    thumb_url: str = ""
    link_names: bool = False
    mrkdwn_in: tuple[str, ...] = ()
    actions: tuple[SlackAction, ...] = ()
    update_message: bool = False
    post_updates_to_thread: bool = False
    timeout: DurationMs = DurationMs(0)

    def __post_init__(self) -> None:
        at_most_one(api_url=self.api_url, api_url_file=self.api_url_file)
        at_most_one(app_token=self.app_token, app_token_file=self.app_token_file)
        at_most_one(api_url=self.endpoint, app_token=self.token)
        if self.api_url is not None and self.api_url.origin == "text":
            check_url("api_url", self.api_url.reveal_text())
        check_url("app_url", self.app_url)

    @property
    def endpoint(self) -> Secret | None:
        """Where to post, if it is configured."""
        return chosen(self.api_url, self.api_url_file)

    @property
    def token(self) -> Secret | None:
        """The bot token, if it is configured."""
        return chosen(self.app_token, self.app_token_file)

    @property
    def is_attachment(self) -> bool:
        """Whether any part of an attachment is configured."""
        parts = (self.color, self.title, self.title_link, self.pretext, self.text, self.footer, self.fallback)
        return (
            any(part is not None for part in (*parts, self.callback_id))
            or bool(self.fields or self.actions or self.mrkdwn_in)
            or bool(self.image_url or self.thumb_url)
        )
