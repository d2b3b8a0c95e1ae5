"""Chats that take one simple request: Discord, Telegram, Webex, Rocket.Chat, Mattermost."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from udfs.alerting.receivers.http import HttpConfig
from udfs.alerting.receivers.secret import Secret, at_most_one, chosen
from udfs.alerting.receivers.teams import check_webhook
from udfs.alerting.receivers.text import check_url, default

Filled = Annotated[str, Meta(min_length=1)]


class DiscordConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An embed to a Discord webhook."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: str = ""
    content: str = default("discord.default.content")
    title: str = default("discord.default.title")
    message: str = default("discord.default.message")
    username: str = ""
    avatar_url: str = ""

    def __post_init__(self) -> None:
        check_webhook(self.webhook_url, self.webhook_url_file)

    @property
    def target(self) -> Secret | None:
        """Where to post."""
        return chosen(self.webhook_url, self.webhook_url_file)


class TelegramConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of a bot to a chat."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_url: str = ""
    bot_token: Secret | None = None
    bot_token_file: str = ""
    chat_id: int = 0
    chat_id_file: str = ""
    message_thread_id: int = 0
    message: str = default("telegram.default.message")
    disable_notifications: bool = False
    parse_mode: Literal["", "Markdown", "MarkdownV2", "HTML"] = "HTML"

    def __post_init__(self) -> None:
        at_most_one(bot_token=self.bot_token, bot_token_file=self.bot_token_file)
        at_most_one(chat_id=self.chat_id, chat_id_file=self.chat_id_file)
        if not self.chat_id and not self.chat_id_file:
            raise ValueError("one of chat_id and chat_id_file must be configured")
        check_url("api_url", self.api_url)

    @property
    def token(self) -> Secret | None:
        """The bot's token."""
        return chosen(self.bot_token, self.bot_token_file)


class WebexConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to a Webex room; the bot's token is the `authorization` of `http_config`."""

    room_id: Filled
    send_resolved: bool = True
    http_config: HttpConfig | None = None
    api_url: str = ""
    message: str = default("webex.default.message")

    def __post_init__(self) -> None:
        if self.http_config is None or self.http_config.credentials is None:
            raise ValueError("http_config.authorization is missing")
        check_url("api_url", self.api_url)


class RocketchatField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field of an attachment."""

    title: str = ""
    value: str = ""
    short: bool | None = None


class RocketchatAction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A button of an attachment."""

    type: str = ""
    text: str = ""
    url: str = ""
    image_url: str = ""
    is_webview: bool = False
    webview_height_ratio: str = ""
    msg: str = ""
    msg_in_chat_window: bool = False
    msg_processing_type: str = ""


class RocketchatConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message with an attachment to a Rocket.Chat channel."""

    send_resolved: bool = False
    http_config: HttpConfig | None = None
    api_url: str = ""
    channel: str = ""
    token: Secret | None = None
    token_file: str = ""
    token_id: Secret | None = None
    token_id_file: str = ""
    color: str = '{{ if eq .Status "firing" }}red{{ else }}green{{ end }}'
    emoji: str = default("rocketchat.default.emoji")
    icon_url: str = default("rocketchat.default.iconurl")
    text: str = default("rocketchat.default.text")
    title: str = default("rocketchat.default.title")
    title_link: str = default("rocketchat.default.titlelink")
    fields: tuple[RocketchatField, ...] = ()
    short_fields: bool = False
    image_url: str = ""
    thumb_url: str = ""
    link_names: bool = False
    actions: tuple[RocketchatAction, ...] = ()

    def __post_init__(self) -> None:
        at_most_one(token=self.token, token_file=self.token_file)
        at_most_one(token_id=self.token_id, token_id_file=self.token_id_file)
        check_url("api_url", self.api_url)

    @property
    def user_token(self) -> Secret | None:
        """The sender's token."""
        return chosen(self.token, self.token_file)

    @property
    def user_id(self) -> Secret | None:
        """The sender's id."""
        return chosen(self.token_id, self.token_id_file)


class MattermostField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field of an attachment."""

    title: Filled
    value: Filled
    short: bool | None = None


class MattermostAttachment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An attachment beside the text."""

    fallback: str = ""
    color: str = ""
    pretext: str = ""
    text: str = ""
    author_name: str = ""
    author_link: str = ""
    author_icon: str = ""
    title: str = ""
    title_link: str = ""
    fields: tuple[MattermostField, ...] = ()
    thumb_url: str = ""
    footer: str = ""
    footer_icon: str = ""
    image_url: str = ""


class MattermostProps(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Properties of a message."""

    card: str = ""


class MattermostPriority(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How urgent a message is."""

    priority: str = ""
    requested_ack: bool = False
    persistent_notifications: bool = False


class MattermostConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to a Mattermost webhook."""

    send_resolved: bool = True
    http_config: HttpConfig | None = None
    webhook_url: Secret | None = None
    webhook_url_file: str = ""
    channel: str = ""
    username: str = default("mattermost.default.username")
    text: str = default("mattermost.default.text")
    fallback: str = default("mattermost.default.fallback")
    color: str = default("mattermost.default.color")
    pretext: str = ""
    author_name: str = ""
    author_link: str = ""
    author_icon: str = ""
    title: str = default("mattermost.default.title")
    title_link: str = default("mattermost.default.titlelink")
    fields: tuple[MattermostField, ...] = ()
    thumb_url: str = ""
    footer: str = ""
    footer_icon: str = ""
    image_url: str = ""
    icon_url: str = ""
    icon_emoji: str = ""
    attachments: tuple[MattermostAttachment, ...] = ()
    type: str = ""
    props: MattermostProps | None = None
    priority: MattermostPriority | None = None

    def __post_init__(self) -> None:
        at_most_one(webhook_url=self.webhook_url, webhook_url_file=self.webhook_url_file)
        if self.webhook_url is not None and self.webhook_url.origin == "text":
            check_url("webhook_url", self.webhook_url.reveal_text())

    @property
    def target(self) -> Secret | None:
        """Where to post."""
        return chosen(self.webhook_url, self.webhook_url_file)
