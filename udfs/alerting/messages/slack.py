"""Slack messages: upstream's attachment where one is configured, Block Kit otherwise.

A bot token posts by `chat.postMessage` and changes its message in place by `chat.update`; an incoming webhook only
posts.
"""

import json
from typing import Any, Final

from udfs.alerting.messages.context import HttpRequest, MessageContext, shortened
from udfs.alerting.messages.slack_blocks import blocks_of
from udfs.alerting.receivers.secret import Secret
from udfs.alerting.receivers.slack import ATTACHMENT_DEFAULTS, POST_MESSAGE_URL, SlackConfig
from udfs.templates.go_json import go_json

TITLE_MOST: Final = 1_024
TEXT_MOST: Final = 40_000
_MARKDOWN_IN: Final = ["fallback", "pretext", "text"]
_TEXT_PARTS: Final = ("title_link", "pretext", "text", "fallback", "callback_id", "footer", "color")


def slack_request(config: SlackConfig, context: MessageContext) -> HttpRequest:
    """Return the request for one notification; a reference of the group's last message makes it a change of that."""
    is_bot = config.token is not None
    url = context.reveal(Secret(config.app_url) if is_bot else config.endpoint, "app_url" if is_bot else "api_url")
    is_web_api = is_bot or url == POST_MESSAGE_URL
    message: dict[str, Any] = {
        "channel": context.text(config.channel),
        "username": context.text(config.username),
        "icon_emoji": context.text(config.icon_emoji),
        "icon_url": context.text(config.icon_url),
        "link_names": config.link_names,
        "text": shortened(context.text(config.message_text), TEXT_MOST),
    }
    if config.is_attachment:
        message["attachments"] = [_attachment(config, context)]
    else:
        message["text"] = message["text"] or shortened(context.text(ATTACHMENT_DEFAULTS["title"]), TEXT_MOST)
        message["attachments"] = [{"color": _color(context), "blocks": blocks_of(context)}]
    message = {name: value for name, value in message.items() if value not in ("", False)}
    channel, timestamp = _known(config, context)
    if is_web_api and timestamp:
        if config.update_message:
            url = url.removesuffix("chat.postMessage") + "chat.update"
            message |= {"channel": channel, "ts": timestamp}
        elif config.post_updates_to_thread:
            message |= {"channel": channel, "thread_ts": timestamp}
    headers: tuple[tuple[str, Secret], ...] = ()
    if is_bot:
        headers = (("Authorization", Secret(f"Bearer {context.reveal(config.token, 'app_token')}")),)
    return HttpRequest(
        url=Secret(url), body=go_json(message).encode(), headers=headers, content_type="application/json; charset=utf-8"
    )


def reference_of(config: SlackConfig, context: MessageContext, answer: bytes) -> str:
    """Return what the group's message is called from now on: channel and timestamp of Slack's answer, if it has them.

    Behind them is the channel that was asked for: a message in another one than is asked for next time stays as it is.
    A thread goes on under its first message.
    """
    previous = context.previous if _known(config, context)[1] else ""
    if previous and config.post_updates_to_thread and not config.update_message:
        return previous
    try:
        read = json.loads(answer)
    except ValueError:
        return previous
    if not isinstance(read, dict) or not read.get("ts") or not read.get("channel"):
        return previous
    return f"{read['channel']}/{read['ts']}/{context.text(config.channel)}"


def error_of(answer: bytes, content_type: str) -> str:
    """Return what Slack says is wrong although the status was 200, empty if nothing is."""
    if content_type.startswith("application/json"):
        try:
            read = json.loads(answer)
        except ValueError:
            return "the answer is no JSON"
        if isinstance(read, dict) and not read.get("ok", False):
            return shortened(str(read.get("error", "unknown")), 100)
        return ""
    text = answer.decode(errors="replace").strip()
    return "" if text in ("ok", "") else shortened(text, 100)


def _known(config: SlackConfig, context: MessageContext) -> tuple[str, str]:
    """Return channel and timestamp of the message to change; empty if there is none, or it is in another channel."""
    channel, timestamp, wanted = (*context.previous.split("/", 2), "", "")[:3]
    return (channel, timestamp) if wanted == context.text(config.channel) else ("", "")


def _color(context: MessageContext) -> str:
    if not context.is_firing:
        return "#16a34a"
    severity = context.notification.common_labels.get("severity", "")
    return {"critical": "#dc2626", "warning": "#d97706", "info": "#2563eb"}.get(severity, "#dc2626")


def _attachment(config: SlackConfig, context: MessageContext) -> dict[str, Any]:
    texts = {name: context.text(_or_default(config, name)) for name in _TEXT_PARTS}
    attachment: dict[str, Any] = {
        **texts,
        "title": shortened(context.text(_or_default(config, "title")), TITLE_MOST),
        "image_url": context.text(config.image_url),
        "thumb_url": context.text(config.thumb_url),
        "mrkdwn_in": list(config.mrkdwn_in) or _MARKDOWN_IN,
        "fields": [
            {
                "title": context.text(field.title),
                "value": context.text(field.value),
                "short": config.short_fields if field.short is None else field.short,
            }
            for field in config.fields
        ],
        "actions": [_action(action, context) for action in config.actions],
    }
    always = ("text", "fallback", "callback_id", "footer")
    return {name: value for name, value in attachment.items() if value or name in always}


def _or_default(config: SlackConfig, name: str) -> str:
    written: str | None = getattr(config, name)
    return ATTACHMENT_DEFAULTS[name] if written is None else written


def _action(action: Any, context: MessageContext) -> dict[str, Any]:
    names = ("type", "text", "url", "style") if action.url else ("type", "text", "style", "name", "value")
    made: dict[str, Any] = {name: context.text(getattr(action, name)) for name in names if getattr(action, name)}
    if action.confirm is not None and not action.url:
        confirm = action.confirm
        made["confirm"] = {name: context.text(getattr(confirm, name)) for name in confirm.__struct_fields__}
    return made
