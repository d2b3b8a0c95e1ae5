"""Requests to Discord, Telegram, Webex, Rocket.Chat and Mattermost, each within its limits."""

from typing import Any, Final

from msgspec import Struct

from udfs.alerting.messages.context import HttpRequest, MessageContext, MessageError, shortened, shortened_bytes
from udfs.alerting.receivers.chat import (
    DiscordConfig,
    MattermostConfig,
    RocketchatConfig,
    TelegramConfig,
    WebexConfig,
)
from udfs.alerting.receivers.secret import Secret
from udfs.templates.go_json import go_json

_RED, _GREEN = 0x992D22, 0x2ECC71
_DISCORD_TITLE, _DISCORD_TEXT, _DISCORD_CONTENT = 256, 4_096, 2_000
_TELEGRAM_TEXT: Final = 4_096
_WEBEX_BYTES: Final = 7_439
_MATTERMOST_TEXT: Final = 16_383
_PRIORITIES: Final = ("urgent", "important", "standard")


def discord_request(config: DiscordConfig, context: MessageContext) -> HttpRequest:
    """Return the request with one embed."""
    message: dict[str, Any] = {
        "content": shortened(context.text(config.content), _DISCORD_CONTENT),
        "embeds": [
            {
                "title": shortened(context.text(config.title), _DISCORD_TITLE),
                "description": shortened(context.text(config.message), _DISCORD_TEXT),
                "color": _RED if context.is_firing else _GREEN,
            }
        ],
        "allowed_mentions": {"parse": []} if not config.content else None,
        "username": config.username,
        "avatar_url": config.avatar_url,
    }
    body = go_json({name: value for name, value in message.items() if value})
    return HttpRequest(url=context.url(config.target, "webhook_url"), body=body.encode())


def telegram_request(config: TelegramConfig, context: MessageContext) -> HttpRequest:
    """Return the request of the bot; in HTML every value is escaped."""
    render = context.html if config.parse_mode == "HTML" else context.text
    text = render(config.message).strip()
    if len(text) > _TELEGRAM_TEXT:
        # Cutting could tear a tag; the plain text says as much.
        text, mode = shortened(context.text(config.message).strip(), _TELEGRAM_TEXT), ""
    else:
        mode = config.parse_mode
    chat: Any = config.chat_id or context.reveal(Secret(config.chat_id_file, "file"), "chat_id_file")
    if isinstance(chat, str):
        if not chat.lstrip("-").isdigit():
            raise MessageError("chat_id_file holds no number")
        chat = int(chat)
    message: dict[str, Any] = {
        "chat_id": chat,
        "text": text,
        "parse_mode": mode,
        "disable_notification": config.disable_notifications,
        "message_thread_id": config.message_thread_id,
        "link_preview_options": {"is_disabled": True},
    }
    token = context.reveal(config.token, "bot_token")
    url = f"{context.text(config.api_url).rstrip('/')}/bot{token}/sendMessage"
    return HttpRequest(url=Secret(url), body=go_json({name: each for name, each in message.items() if each}).encode())


def webex_request(config: WebexConfig, context: MessageContext) -> HttpRequest:
    """Return the request; the token comes with the HTTP client."""
    message = {
        "roomId": context.text(config.room_id),
        "markdown": shortened_bytes(context.text(config.message), _WEBEX_BYTES),
    }
    return HttpRequest(url=Secret(context.text(config.api_url)), body=go_json(message).encode())


def rocketchat_request(config: RocketchatConfig, context: MessageContext) -> HttpRequest:
    """Return the request with one attachment."""
    attachment: dict[str, Any] = {
        "title": shortened(context.text(config.title), 1_024),
        "title_link": context.text(config.title_link),
        "text": context.text(config.text),
        "image_url": context.text(config.image_url),
        "thumb_url": context.text(config.thumb_url),
        "color": context.text(config.color),
        "fields": [
            {
                "title": context.text(field.title),
                "value": context.text(field.value),
                "short": config.short_fields if field.short is None else field.short,
            }
            for field in config.fields
        ],
        "actions": [_texts(action, context) for action in config.actions],
    }
    message: dict[str, Any] = {
        "channel": context.text(config.channel),
        "alias": context.text('{{ template "rocketchat.default.alias" . }}'),
        "emoji": context.text(config.emoji),
        "avatar": context.text(config.icon_url),
        "parseUrls": config.link_names,
        "attachments": [{name: value for name, value in attachment.items() if value}],
    }
    headers = (
        ("X-Auth-Token", context.url(config.user_token, "token")),
        ("X-User-Id", context.url(config.user_id, "token_id")),
    )
    url = f"{context.text(config.api_url).rstrip('/')}/api/v1/chat.postMessage"
    body = go_json({name: value for name, value in message.items() if value})
    return HttpRequest(url=Secret(url), body=body.encode(), headers=headers)


def mattermost_request(config: MattermostConfig, context: MessageContext) -> HttpRequest:
    """Return the request, with the attachments that are configured."""
    message: dict[str, Any] = {
        "text": shortened(context.text(config.text), _MATTERMOST_TEXT),
        "channel": context.text(config.channel),
        "username": context.text(config.username),
        "icon_url": context.text(config.icon_url),
        "icon_emoji": context.text(config.icon_emoji),
        "type": context.text(config.type),
        "attachments": [_texts(attachment, context) for attachment in config.attachments],
        "props": _texts(config.props, context) if config.props is not None else None,
        "priority": _priority(config, context),
    }
    body = go_json({name: value for name, value in message.items() if value})
    return HttpRequest(url=context.url(config.target, "webhook_url"), body=body.encode())


def _priority(config: MattermostConfig, context: MessageContext) -> dict[str, Any] | None:
    if config.priority is None or not config.priority.priority:
        return None
    name = context.text(config.priority.priority).lower()
    name = name if name in _PRIORITIES else "standard"
    return {
        "priority": name,
        "requested_ack": config.priority.requested_ack and name != "standard",
        "persistent_notifications": config.priority.persistent_notifications and name == "urgent",
    }


def _texts(part: Struct, context: MessageContext) -> dict[str, Any]:
    """Return the fields of a struct that say something, texts rendered."""
    made: dict[str, Any] = {}
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, str):
            value = context.text(value)
        elif isinstance(value, tuple):
            value = [_texts(each, context) for each in value]
        if value not in ("", [], None, False):
            made[name] = value
    return made
